"""A local S3 by moto's server, which a test may let fail in the ways that S3 does."""

from __future__ import annotations

import contextlib
import re
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "photos"


class S3Server:
    """``faults`` answer requests in place of moto: each is ``[matches, status, code, times,
    query]``."""

    def __init__(self):
        self.url = ""
        self.requests = []
        self.ranges = []  # of an object, as it was asked for: (path, first byte, last byte)
        self._faults = []
        self._moto = DomainDispatcherApplication(create_backend_app)

    def fail(self, matches, status, code, *, times=10**9, query=""):
        """Answer requests whose ``METHOD /path`` and query match with an error, so many times."""
        self._faults.append([matches, status, code, times, query])

    def heal(self):
        self._faults.clear()

    def __call__(self, environ, start_response):
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.requests.append(request)
        if part := re.fullmatch(r"bytes=(\d+)-(\d+)", environ.get("HTTP_RANGE", "")):
            self.ranges.append((environ["PATH_INFO"], int(part[1]), int(part[2])))
        for fault in self._faults:
            matches, status, code, times, query = fault
            if times and matches(request) and query in environ["QUERY_STRING"]:
                fault[3] -= 1
                start_response(f"{status} X", [("Content-Type", "application/xml")])
                if environ["REQUEST_METHOD"] == "HEAD":
                    return []
                return [
                    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>%b</Code>'
                    b"<Message>made by a test</Message></Error>" % code.encode()
                ]
        return self._moto(environ, start_response)


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


@contextlib.contextmanager
def running():
    """A server of its own, on a free port."""
    app = S3Server()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    app.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
