"""Facts made by hand, so that a question of the audit can be asked without files."""

import numpy as np
import pytest

from mesoscope.data.audit.facts import CategoryBuilder, Facts
from mesoscope.data.sample import Sample


def category(values):
    words = CategoryBuilder(len(values))
    for row, value in enumerate(values):
        if value is not None:
            words.set(row, value)
    return words.done()


@pytest.fixture
def make_facts():
    """``make_facts(labels, sources=…, splits=…, groups=…, words={…}, numbers={…})`` → Facts."""

    def make(labels, *, sources=None, splits=None, groups=None, words=None, numbers=None):
        labels = np.asarray(labels, np.int8)
        n = len(labels)
        sources = ["a"] * n if sources is None else list(sources)
        splits = ["train"] * n if splits is None else list(splits)
        groups = list(range(n)) if groups is None else list(groups)
        names = tuple(f"{row:04}.jpg" for row in range(n))
        rng = np.random.default_rng(n)
        numbers = {
            "width": np.full(n, 64), "height": np.full(n, 64), "aspect": np.ones(n),
            "spread": np.full(n, 40), "brightness": np.full(n, 120), "sharpness": np.ones(n),
            **(numbers or {}),
        }  # fmt: skip
        return Facts(
            samples=tuple(
                Sample(name, int(label), source, str(group), split)
                for name, label, source, group, split in zip(
                    names, labels, sources, groups, splits, strict=True
                )
            ),
            labels=labels,
            sources=category(sources),
            splits=category(splits),
            groups=category([f"{s}\n{g}" for s, g in zip(sources, groups, strict=True)]).codes,
            names=names,
            categories={name: category(values) for name, values in (words or {}).items()},
            numbers={name: np.asarray(v, np.float32) for name, v in numbers.items()},
            sha256=rng.integers(0, 256, (n, 32), np.uint8),
            hashes=rng.integers(0, 2**64, (n, 2), np.uint64),
            thumbnails=rng.integers(0, 256, (n, 16, 16), np.uint8),
        )

    return make
