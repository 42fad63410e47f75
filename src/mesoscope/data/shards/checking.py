"""Check the pictures of a data set against the digests of its manifest."""

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
    """Read every picture, in a shard or not, and compare its SHA-256 with the manifest's.

    Args:
        samples: Samples of a data set.

    Yields:
        The error of each sample in order, ``None`` if it has none. Without a SHA-256 in the
        manifest only readability is checked.
    """

    def check(sample: Sample) -> MesoscopeError | None:
        try:
            checked_sha256(sample, sample_bytes(sample))
        except Exception as error:  # noqa: BLE001 - one picture never ends the rest
            return failure(sample.file, error)
        return None

    yield from map_ordered(check, samples, threads=cores())
