"""Lists with web addresses: fetched on request only, in bounds, and a bad host ends nothing."""

import http.server
import io
import json
import threading

import pytest
from PIL import Image

from in_process import InProcess
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed import web
from mesoscope.distributed.scan import scan_into_parts
from mesoscope.errors import OptionError, SourceError, SourceMissing
from mesoscope.scan.results import open_results
from mesoscope.scan.sinks import json_lines

pytest.importorskip("aiohttp", reason="aiohttp comes with the scale extra: make test-scale")
pa = pytest.importorskip("pyarrow", reason="lists are Parquet, and pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def site(make_face):
    """A server; ``site.asked`` counts requests by path."""
    face = io.BytesIO()
    Image.fromarray(make_face(1, 200)).save(face, "JPEG")

    asked: dict[str, int] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0]
            asked[path] = asked.get(path, 0) + 1
            if path == "/secret.jpg":
                self.send_error(403)
            elif path == "/gone.jpg":
                self.send_error(404)
            elif path == "/busy.jpg" and asked[path] < 3:
                self.send_error(503)
            else:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"x" * 5000 if path == "/long.jpg" else face.getvalue())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.asked, server.face = asked, face.getvalue()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(web, "WAIT_S", 0.0)


def test_answers_are_in_their_places_and_passing_faults_are_tried_again(site, monkeypatch):
    monkeypatch.setattr(web, "PICTURE_BYTES", 4000 + len(site.face))
    names = ["a.jpg?size=2", "busy.jpg", "gone.jpg", "secret.jpg"]
    face, busy, gone, secret = web.fetch([f"{site.url}/{name}" for name in names])
    assert face == busy == site.face
    assert site.asked["/busy.jpg"] == 3
    assert isinstance(gone, SourceMissing)
    assert "403" in str(secret)
    assert site.asked["/secret.jpg"] == 1


def test_an_answer_without_end_is_cut_off(site, monkeypatch, tmp_path):
    monkeypatch.setattr(web, "PICTURE_BYTES", 4000)
    monkeypatch.setattr(web, "CLIP_BYTES", 4000)
    (long,) = web.fetch([f"{site.url}/long.jpg"])
    assert "more than" in str(long)
    said = web.download(f"{site.url}/long.jpg", tmp_path / "copy.mp4")
    assert isinstance(said, SourceError)
    assert not (tmp_path / "copy.mp4").exists()


def test_a_host_that_is_not_there_is_an_error_of_its_sources():
    (answer,) = web.fetch(["http://127.0.0.1:9/a.jpg"])
    assert isinstance(answer, SourceError)
    assert "cannot be fetched" in str(answer)


def written(tmp_path, *urls):
    parquet.write_table(pa.table({"url": list(urls)}), tmp_path / "list.parquet")
    return [str(tmp_path / "list.parquet")]


def test_a_list_with_web_addresses_is_scanned_on_request_only(tmp_path, site):
    place = written(
        tmp_path, f"{site.url}/a.jpg", f"{site.url}/gone.jpg", "http://127.0.0.1:9/b.jpg"
    )
    spec = DetectorSpec(faces="whole", model="meso4")
    with pytest.raises(OptionError, match="web addresses are fetched with `http` only"):
        scan_into_parts(spec, place, str(tmp_path / "no"), InProcess)
    assert site.asked == {}
    done = scan_into_parts(spec, place, str(tmp_path / "job"), InProcess, http=True)
    assert done.sources == 3
    lines = json_lines(open_results(str(tmp_path / "job")).results())
    rows = {row["source"]: row for row in map(json.loads, lines)}
    assert rows[f"{site.url}/a.jpg"]["label"] is not None
    assert rows[f"{site.url}/gone.jpg"]["error"]["code"] == SourceMissing.code
    assert "cannot be fetched" in rows["http://127.0.0.1:9/b.jpg"]["error"]["message"]


def test_tars_of_the_web_are_refused(tmp_path):
    with pytest.raises(OptionError, match="give one of both"):
        scan_into_parts(
            DetectorSpec(faces="whole", model="meso4"),
            written(tmp_path, "http://127.0.0.1:9/a.tar"),
            str(tmp_path / "job"),
            InProcess,
            shards=True,
            http=True,
        )
