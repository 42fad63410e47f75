"""Every error that mesoscope raises on purpose.

::

    MesoscopeError                 code
    ├── SourceError                source.unreadable    the file is damaged or not a picture
    │   ├── SourceMissing          source.missing       no file at that path
    │   ├── SourceUnsupported      source.unsupported   a kind of file that is not read
    │   ├── SourceTooLarge         source.too_large     more pixels than the limit allows
    │   ├── SourceNoMemory         source.no_memory     out of memory; a retry may succeed
    │   ├── SourceFailed           source.failed        an unexpected error in reading or judging
    │   └── SourceUnsuitable       source.unsuitable    a picture that no forgery can be made from
    ├── ModelError                 model.invalid        not a model file, or a damaged one
    │   ├── ModelMissing           model.missing        no model of that name, no file at that path
    │   └── ModelMismatch          model.mismatch       outputs or bytes that differ from the card
    ├── DatasetError               dataset.invalid      folders or a manifest that cannot be used
    ├── RecipeError                recipe.invalid       an unknown key, a wrong type, a bad value
    ├── RunError                   run.invalid          a run folder that cannot be used or resumed
    ├── JobError                   job.invalid          a job folder or ledger that cannot be used
    ├── WeightsError               weights.invalid      a Keras file of another network
    ├── ReportError                report.invalid       a file that is no report, or was altered
    ├── ServiceError               service.failed       a service that refuses, or is unreachable
    ├── OptionError                option.invalid       an option outside its range
    ├── OutputError                output.failed        a result could not be written
    └── MissingExtra               extra.missing        an optional dependency is not installed

Codes are stable and part of scan results; match on them. Messages are one line with the subject,
the cause and the next step. Messages may change.
"""

from __future__ import annotations

from mesoscope.errors.extras import install_command

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
    """The base class of all errors that mesoscope raises on purpose."""

    code = "error"


class SourceError(MesoscopeError):
    """A picture could not be read."""

    code = "source.unreadable"


class SourceMissing(SourceError):  # noqa: N818 - the names say what happened, as in httpx
    """The file does not exist, or is a broken link."""

    code = "source.missing"


class SourceUnsupported(SourceError):  # noqa: N818
    """The file is intact, but of a kind that is not read."""

    code = "source.unsupported"


class SourceTooLarge(SourceError):  # noqa: N818
    """The picture has more pixels than the limit; nothing was decoded."""

    code = "source.too_large"


class SourceNoMemory(SourceError, MemoryError):  # noqa: N818
    """Memory ran out while the file was read or judged; the file may be intact."""

    code = "source.no_memory"


class SourceFailed(SourceError):  # noqa: N818
    """Reading or judging the file raised an unexpected error, in mesoscope or a library."""

    code = "source.failed"


class SourceUnsuitable(SourceError):  # noqa: N818
    """The picture was decoded, but no forgery can be made from it: no face, or too small."""

    code = "source.unsuitable"


class ModelError(MesoscopeError):
    """A file is not a mesoscope model, or is damaged."""

    code = "model.invalid"


class ModelMissing(ModelError):  # noqa: N818
    """No shipped model of that name, and no file at that path."""

    code = "model.missing"


class ModelMismatch(ModelError):  # noqa: N818
    """The model's outputs or bytes differ from its card."""

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
    """A Keras weight file of another network than the requested one."""

    code = "weights.invalid"


class ReportError(MesoscopeError):
    """A file that is not a report of mesoscope, or was altered."""

    code = "report.invalid"


class ServiceError(MesoscopeError):
    """A service that refuses a request, or that cannot be reached.

    Attributes:
        problem: Error code of the response, such as ``key.invalid``; ``service.failed`` without
            one.
        status: HTTP status; ``None`` without a response.
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
    """A result could not be written; earlier results are intact."""

    code = "output.failed"


class MissingExtra(MesoscopeError):  # noqa: N818
    """An optional dependency is not installed; the message has the command that installs it.

    Attributes:
        package: The package that is missing.
        extra: The extra of mesoscope that brings it.
    """

    code = "extra.missing"

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(f"{package} is not installed, and this needs it: {install_command(extra)}")
        self.package = package
        self.extra = extra
