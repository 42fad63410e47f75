"""Processes that measure: each keeps its libraries warm and answers one question at a time.

Two sides are compared in rounds, A B A B …, and each side lives in a process of its own, so that
their thread pools and allocators never meet; while one works, the other waits for its next line.
A question and an answer are one line of JSON each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).parent


class WorkerError(RuntimeError):
    """A worker could not answer; the message holds the end of what it said."""


class Worker:
    """A process that runs one of the worker scripts beside this file.

    Args:
        python: Interpreter, and so the environment.
        script: ``ours.py`` or ``theirs.py``.
        environment: Variables on top of this process'.
    """

    def __init__(self, python: Path, script: str, environment: dict[str, str] | None = None):
        self._name = script
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(
            [python, "-u", HERE / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        )

    def ask(self, task: str, **arguments: object):
        """Run a task there and wait for its answer."""
        try:
            print(json.dumps([task, arguments]), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            raise WorkerError(f"{self._name}: {task}: it ended early:\n{self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self._name}: {task}:\n{answer['error']}")
        return answer["answer"]

    def _last_words(self) -> str:
        self._said.seek(0)
        return "".join(self._said.readlines()[-15:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()  # its loop ends
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()


def serve(tasks) -> None:
    """The worker's side: answer questions until the other end closes.

    Args:
        tasks: Name → function; its keyword arguments and its answer are plain JSON.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    for line in sys.stdin:
        task, arguments = json.loads(line)
        try:
            reply = {"answer": tasks[task](**arguments)}
        except Exception:  # noqa: BLE001 - told to the asker, who stops
            reply = {"error": traceback.format_exc()}
        print(json.dumps(reply), file=answers, flush=True)
