import re

import pytest

from mesoscope.errors import OutputError, ReportError
from mesoscope.report.case.seal import blank_seal, make_keys, read_private, read_seal, seal


@pytest.fixture
def key(tmp_path):
    make_keys(tmp_path / "k.pem")
    return read_private(tmp_path / "k.pem")


def written(path, key=None, before="<b>0.93</b>", after="end"):
    path.write_text(f"{before}\n{blank_seal(key)}\n{after}")
    seal(path, key)
    return path


def state(path):
    """Whether a report passes; one whose seal is broken does not."""
    try:
        found = read_seal(path)
    except ReportError:
        return False
    return found.intact and (found.signature_holds or not found.signed)


def test_an_untouched_report_passes(tmp_path, key):
    plain, signed = written(tmp_path / "a"), written(tmp_path / "b", key)
    assert state(plain)
    assert state(signed)
    assert not read_seal(plain).signed
    assert read_seal(signed).signature_holds
    assert len(read_seal(signed).key_fingerprint) == 64


@pytest.mark.parametrize("with_key", [False, True])
def test_any_byte_that_is_altered_is_noticed(tmp_path, key, with_key):
    """Every byte of the file, those of the digest, the signature and the key among them."""
    path = written(tmp_path / "a", key if with_key else None)
    data = path.read_bytes()
    for at in range(len(data)):
        for other in (data[at] ^ 1, data[at] ^ 0x20):  # another digit, another case
            path.write_bytes(data[:at] + bytes([other]) + data[at + 1 :])
            assert not state(path), f"byte {at}: {data[at]:c} → {other:c}"


@pytest.mark.parametrize("change", [lambda d: d + b" ", lambda d: b" " + d, lambda d: d[:-1]])
def test_added_and_lost_bytes_are_noticed(tmp_path, key, change):
    path = written(tmp_path / "a", key)
    path.write_bytes(change(path.read_bytes()))
    assert not state(path)


def test_a_second_seal_is_no_seal(tmp_path):
    path = written(tmp_path / "a")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(ReportError, match="more than one"):
        read_seal(path)


def test_a_new_digest_does_not_help_against_a_signature(tmp_path, key):
    path = written(tmp_path / "a", key)
    signature = re.search(r'"signature":"([0-9a-f]{128})"', path.read_text())[1]
    path.write_text(path.read_text().replace("0.93", "0.03"))
    assert not read_seal(path).intact
    seal(path, None)  # whoever alters a report fills in the digest that fits
    assert signature in path.read_text()
    forged = read_seal(path)
    assert forged.intact
    assert not forged.signature_holds


@pytest.mark.parametrize("content", [b"", b"nothing", b'{"mesoscope_seal":1}'])
def test_what_is_no_report(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(ReportError, match="a"):
        read_seal(path)


def test_no_blank_seal_and_no_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("nothing")
    with pytest.raises(OutputError, match="no seal to fill in"):
        seal(path, None)
    with pytest.raises(ReportError, match="No such file"):
        read_seal(tmp_path / "b")
