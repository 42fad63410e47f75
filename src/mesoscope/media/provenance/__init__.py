"""Provenance of a file by its metadata and encoding; never part of the score."""

from __future__ import annotations

from mesoscope.media.provenance.finding import TITLES, WEIGHTS, Finding, FindingKind, Provenance
from mesoscope.media.provenance.read import read_provenance

__all__ = ["TITLES", "WEIGHTS", "Finding", "FindingKind", "Provenance", "read_provenance"]
