"""Nothing that is printed acts on a terminal."""

import pytest

from mesoscope.cli.printing import echo
from mesoscope.files.escape import escape_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[31mred", "\\x1b[31mred"), ("a\nb\rc\td", "a\\nb\\rc\\td"), ("\x9b1m", "\\x9b1m"),
     ("gpj.\u202eexe", "gpj.\\u202eexe"), ("\u2066x\u2069", "\\u2066x\\u2069"),
     ("naïve 你 –", "naïve 你 –"),
     ("\x07\x00\x7f", "\\x07\\x00\\x7f"), ("a\u2028b", "a\\u2028b")],
)  # fmt: skip
def test_what_acts_is_written_out(text, shown):
    assert escape_text(text) == shown


def test_lines_of_ours_stay_lines(capsys):
    echo("one\ntwo\x1b[2J")
    assert capsys.readouterr().out == "one\ntwo\\x1b[2J\n"


def test_what_a_library_prints_while_a_model_opens_is_not_among_the_results(capsys, monkeypatch):
    from mesoscope.cli.main import main
    from mesoscope.detection.detector import Detector

    made = Detector.__init__

    def prints(self, *words, **more):
        print("EP Error: a device is not there")
        made(self, *words, **more)

    monkeypatch.setattr(Detector, "__init__", prints)
    with pytest.raises(SystemExit):
        main(["scan", "nowhere.png", "--table"])
    told = capsys.readouterr()
    assert "EP Error" in told.err
    assert "EP Error" not in told.out
