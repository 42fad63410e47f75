"""Every error that mesoscope raises on purpose.

::

    MesoscopeError                 code
    ├── SourceError                source.unreadable    the bytes are not a whole picture
    │   ├── SourceMissing          source.missing       nothing lies at that path
    │   ├── SourceUnsupported      source.unsupported   a kind of file that is not read
    │   ├── SourceTooLarge         source.too_large     more pixels than the limit allows
    │   ├── SourceNoMemory         source.no_memory     memory ran short: worth another try
    │   ├── SourceFailed           source.failed        a fault while it was read or judged
    │   └── SourceUnsuitable       source.unsuitable    a picture that no forgery can be made from
    ├── ModelError                 model.invalid        not a model file, or a damaged one
    │   ├── ModelMissing           model.missing        no model of that name, no file at that path
    │   └── ModelMismatch          model.mismatch       it does not do what its card says
    ├── DatasetError               dataset.invalid      folders or a manifest that cannot be used
    ├── RecipeError                recipe.invalid       an unknown key, a wrong type, a bad value
    ├── RunError                   run.invalid          a run folder that cannot be used or resumed
    ├── JobError                   job.invalid          a job folder or ledger that cannot be used
    ├── WeightsError               weights.invalid      a Keras file of another network
    ├── ReportError                report.invalid       a file that is no report, or was altered
    ├── ServiceError               service.failed       a service that refuses, or cannot be reached
    ├── OptionError                option.invalid       an option outside its range
    ├── OutputError                output.failed        a result could not be written
    └── MissingExtra               extra.missing        a part that is not installed

Codes are stable: they stand in scan results and are safe to match on. Messages are one line that
names the thing, the cause and the next step; they may change.
"""

from __future__ import annotations

__all__ = [
    "DatasetError",
    "JobError",
    "MesoscopeError",
    "MissingExtra",
    "ModelError",
    "ModelMismatch",
    "ModelMissing",
    "OptionError",
    "OutputError",
    "RecipeError",
    "ReportError",
    "RunError",
    "ServiceError",
    "SourceError",
    "SourceFailed",
    "SourceMissing",
    "SourceNoMemory",
    "SourceTooLarge",
    "SourceUnsuitable",
    "SourceUnsupported",
    "WeightsError",
]


class MesoscopeError(Exception):
    """The root: catch this to catch all that mesoscope raises on purpose."""

    code = "error"


class SourceError(MesoscopeError):
    """A picture could not be read."""

    code = "source.unreadable"


class SourceMissing(SourceError):  # noqa: N818 - the names say what happened, as in httpx
    """Nothing lies at the path, or a link points nowhere."""

    code = "source.missing"


class SourceUnsupported(SourceError):  # noqa: N818
    """The file is whole but of a kind that is not read."""

    code = "source.unsupported"


class SourceTooLarge(SourceError):  # noqa: N818
    """The picture holds more pixels than the limit; nothing was decoded."""

    code = "source.too_large"


class SourceNoMemory(SourceError, MemoryError):  # noqa: N818
    """Memory ran short while the file was read or judged; it may well be whole."""

    code = "source.no_memory"


class SourceFailed(SourceError):  # noqa: N818
    """Reading or judging the file met a fault that nobody foresaw, in mesoscope or a library."""

    code = "source.failed"


class SourceUnsuitable(SourceError):  # noqa: N818
    """The picture was read, but no forgery can be made from it: too small, or no face found."""

    code = "source.unsuitable"


class ModelError(MesoscopeError):
    """A file is not a mesoscope model, or is damaged."""

    code = "model.invalid"


class ModelMissing(ModelError):  # noqa: N818
    """No shipped model of that name, and no file at that path."""

    code = "model.missing"


class ModelMismatch(ModelError):  # noqa: N818
    """The model's answers or bytes differ from what its card says."""

    code = "model.mismatch"


class DatasetError(MesoscopeError):
    """Folders or a manifest that cannot be trained or evaluated on."""

    code = "dataset.invalid"


class RecipeError(MesoscopeError):
    """A recipe with an unknown key, a wrong type or a value out of range."""

    code = "recipe.invalid"


class RunError(MesoscopeError):
    """A run folder that cannot be used or resumed."""

    code = "run.invalid"


class JobError(MesoscopeError):
    """A job folder, or its ledger, that cannot be used or resumed."""

    code = "job.invalid"


class WeightsError(MesoscopeError):
    """A Keras weight file that does not hold the network asked for."""

    code = "weights.invalid"


class ReportError(MesoscopeError):
    """A file that is not a report of mesoscope, or is one no more."""

    code = "report.invalid"


class ServiceError(MesoscopeError):
    """A service that refuses a request, or that cannot be reached.

    Attributes:
        problem: The code that the service gave, such as ``key.invalid``; ``service.failed`` where
            it gave none.
        status: Of its answer; ``None`` where there was none.
    """

    code = "service.failed"

    def __init__(
        self, message: str, *, problem: str = "service.failed", status: int | None = None
    ) -> None:
        super().__init__(message)
        self.problem = problem
        self.status = status


class OptionError(MesoscopeError):
    """An option outside its range."""

    code = "option.invalid"


class OutputError(MesoscopeError):
    """A result could not be written; what was written before stays whole."""

    code = "output.failed"


class MissingExtra(MesoscopeError):  # noqa: N818
    """A part of mesoscope that is not installed; the message gives the line that installs it."""

    code = "extra.missing"

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"{package} is not installed, and this needs it: pip install 'mesoscope[{extra}]'"
        )
