"""The field's figures of merit, each once, in plain numpy. Fake = 1 is the positive class."""

from mesoscope.metrics.alarms import (
    Alarms,
    Rate,
    alarms_at,
    reals_needed,
    threshold_at_fpr,
    true_share,
)
from mesoscope.metrics.chance import NoiseFloor, ece_by_chance, log_loss
from mesoscope.metrics.curves import Curve, Reliability, precision_recall, reliability, roc
from mesoscope.metrics.figures import BINS, CUT, METRICS, measure, roc_auc
from mesoscope.metrics.proportion import effective_count, proportion_interval
from mesoscope.metrics.resampling import (
    bootstrap,
    bootstrap_auc,
    bootstrap_share,
    interval,
    resample,
    share,
)

__all__ = [
    "BINS",
    "CUT",
    "METRICS",
    "Alarms",
    "Curve",
    "NoiseFloor",
    "Rate",
    "Reliability",
    "alarms_at",
    "bootstrap",
    "bootstrap_auc",
    "bootstrap_share",
    "ece_by_chance",
    "effective_count",
    "interval",
    "log_loss",
    "measure",
    "precision_recall",
    "proportion_interval",
    "reals_needed",
    "reliability",
    "resample",
    "roc",
    "roc_auc",
    "share",
    "threshold_at_fpr",
    "true_share",
]
