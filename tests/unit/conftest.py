"""Fixtures of the service, for its own tests and for those of its client."""

import importlib
from pathlib import Path

import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).parent)
    module = importlib.import_module("server_running")
jpeg, make_zip, run = module.jpeg, module.make_zip, module.run
