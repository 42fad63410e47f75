"""Whether the pictures of a data set are those that its manifest means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.data.sample import checked_sha256, sample_bytes
from mesoscope.errors.failures import failure
from mesoscope.runtime.threads import cores, map_ordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.data.sample import Sample
    from mesoscope.errors import MesoscopeError

__all__ = ["faults_of"]


def faults_of(samples: Sequence[Sample]) -> Iterator[MesoscopeError | None]:
    """Read every picture, packed or not, and compare its SHA-256 with the manifest's.

    Args:
        samples: Of a data set.

    Yields:
        One a sample, in their order: what is wrong with it, ``None`` where nothing is. Where the
        manifest knows no SHA-256, a picture that can be read has nothing wrong.
    """

    def check(sample: Sample) -> MesoscopeError | None:
        try:
            checked_sha256(sample, sample_bytes(sample))
        except Exception as error:  # noqa: BLE001 - one picture never ends the rest
            return failure(sample.file, error)
        return None

    yield from map_ordered(check, samples, threads=cores())
