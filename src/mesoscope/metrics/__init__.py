"""The field's figures of merit, each once, in plain numpy. Fake = 1 is the positive class."""

from mesoscope.metrics.curves import Curve, Reliability, precision_recall, reliability, roc
from mesoscope.metrics.figures import BINS, CUT, METRICS, measure, roc_auc
from mesoscope.metrics.resampling import bootstrap, bootstrap_share, interval, resample, share

__all__ = [
    "BINS",
    "CUT",
    "METRICS",
    "Curve",
    "Reliability",
    "bootstrap",
    "bootstrap_share",
    "interval",
    "measure",
    "precision_recall",
    "reliability",
    "resample",
    "roc",
    "roc_auc",
    "share",
]
