"""Who is shown a run: by default the log, an epoch a line."""

import logging

from mesoscope.training.fit.checkpoint import TrainingState
from mesoscope.training.fit.watcher import LoggedWatcher, epoch_line

RECORD = {
    "epoch": 2, "loss": 0.5, "auc": 0.875, "auc_by_source": {"a": 0.75, "b": 1.0},
    "images_per_s": 40.4, "elapsed_s": 9.6,
}  # fmt: skip
SAID = "epoch 2/3: loss 0.5000, validation AUC 0.8750 (best) (a 0.750, b 1.000), 40 images/s, 10 s"


def state(best):
    made = TrainingState(recipe_sha256="", data_sha256="")
    made.best_epoch = best
    return made


def test_an_epoch_is_a_line():
    assert epoch_line(RECORD, state(2), 3) == SAID
    assert "(best)" not in epoch_line(RECORD, state(1), 3)


def test_without_bars_it_goes_into_the_log(caplog):
    watcher = LoggedWatcher(3)
    with caplog.at_level(logging.INFO, "mesoscope"):
        watcher.step(done=1, total=2, loss=0.1, images_per_s=1.0)
        assert list(watcher.count("ab", 2, "reading")) == ["a", "b"]
        watcher.epoch(RECORD, state(2))
    assert caplog.messages == [SAID]
