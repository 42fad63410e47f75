"""The error tree and its codes."""

import re
import sys

import pytest

from mesoscope import errors
from mesoscope.errors import MesoscopeError, MissingExtra
from mesoscope.errors.failures import cause
from mesoscope.server.problems import of_error

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_all_are_listed_and_descend_from_the_root():
    defined = {
        name for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }  # fmt: skip
    assert set(errors.__all__) == defined
    assert all(issubclass(cls, MesoscopeError) for cls in CLASSES)


def test_codes_are_unique():
    codes = [cls.__dict__["code"] for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(
        re.fullmatch(r"[a-z]+\.[a-z_]+", cls.code)
        for cls in CLASSES
        if cls.__bases__ != (Exception,)
    )


def test_the_docstring_draws_the_tree_as_it_is():
    drawn, stack = {}, []
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ([│ ]*)(?:├── |└── )(\w+) +(\S+\.\S+)", line)
        if found:
            depth = len(found[1]) // 4
            parent = stack[depth - 1] if depth else "MesoscopeError"
            stack[depth:] = [found[2]]
            drawn[found[2]] = (found[3], parent)
    real = {cls.__name__: (cls.code, cls.__base__.__name__) for cls in CLASSES}
    del real["MesoscopeError"]
    assert drawn == real


def test_codes_that_others_match_on_do_not_change():
    assert {cls.__name__: cls.code for cls in CLASSES} == {
        "MesoscopeError": "error",
        "SourceError": "source.unreadable",
        "SourceMissing": "source.missing",
        "SourceUnsupported": "source.unsupported",
        "SourceTooLarge": "source.too_large",
        "SourceNoMemory": "source.no_memory",
        "SourceFailed": "source.failed",
        "SourceUnsuitable": "source.unsuitable",
        "ModelError": "model.invalid",
        "ModelMissing": "model.missing",
        "ModelMismatch": "model.mismatch",
        "DatasetError": "dataset.invalid",
        "RecipeError": "recipe.invalid",
        "JobError": "job.invalid",
        "RunError": "run.invalid",
        "WeightsError": "weights.invalid",
        "ServiceError": "service.failed",
        "OptionError": "option.invalid",
        "OutputError": "output.failed",
        "ReportError": "report.invalid",
        "MissingExtra": "extra.missing",
    }


def test_a_missing_extra_gives_the_line_that_installs_it():
    with pytest.raises(
        MesoscopeError, match=r"torch is not installed.*pip install 'mesoscope\[train\]'"
    ):
        raise MissingExtra("torch", extra="train")


def test_the_line_installs_into_the_environment_that_runs(monkeypatch):
    """In another one, pip would fetch a stranger's package of the same name."""
    monkeypatch.setattr(sys, "executable", "/opt/a b/bin/python")
    said = str(MissingExtra("torch", extra="train"))
    assert said.endswith(": '/opt/a b/bin/python' -m pip install 'mesoscope[train]'")


def test_a_service_tells_the_extra_and_no_path_of_its_machine():
    problem = of_error(MissingExtra("matplotlib", extra="report"))
    assert (problem.code, problem.status) == ("extra.missing", 501)
    assert "'report'" in str(problem)
    assert sys.executable not in str(problem)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "a.jpg"), "No space left on device"),
        (OSError("underlying file is not\n  open"), "underlying file is not open"),
        (OSError(), "OSError"),
        (ValueError("embedded null byte"), "embedded null byte"),
        (ConnectionError("[Errno 111] Connection refused"), "Connection refused"),
        (ValueError("I/O error: No space left (os error 28)"), "I/O error: No space left"),
        (OSError("open file '/a'. Detail: [errno 28] No space left"), "No space left"),
        (ValueError("[Errno -2]"), "ValueError"),
    ],
)
def test_a_cause_is_words_whatever_the_exception_lacks(error, said):
    assert cause(error) == said
