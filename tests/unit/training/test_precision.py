"""A recipe's bfloat16 is for hardware that has it."""

import pytest

import mesoscope.training.run as run


@pytest.mark.parametrize(
    ("asked", "has", "used"),
    [("bf16", False, "32-true"), ("bf16", True, "bf16-mixed"), ("32", False, "32-true")],
)
def test_a_cpu_without_bfloat16_takes_32_bits_and_says_so(asked, has, used, monkeypatch, caplog):
    said = []
    monkeypatch.setattr(run, "has_bfloat16", lambda: has)
    monkeypatch.setattr(run.logger, "info", said.append)
    fabric = run.open_fabric("cpu", 1, 1, asked)
    assert fabric.strategy.precision.precision == used
    assert len(said) == (asked == "bf16" and not has)
    if said:
        assert "no bfloat16 instructions: precision = '32' is used in place of 'bf16'" in said[0]


def test_whether_a_processor_has_bfloat16_can_be_asked():
    assert run.has_bfloat16() in (True, False)
