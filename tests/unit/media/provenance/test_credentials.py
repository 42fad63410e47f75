"""C2PA manifests: whole, trusted, tampered with, taken out, and without the reader."""

import io
import sys

import pytest
from PIL import Image

from mesoscope.errors import OptionError
from mesoscope.media.provenance import read_provenance


def state(findings):
    (found,) = [f for f in findings if f.field == "validation state"]
    return found


@pytest.mark.parametrize(
    ("form", "mime", "where"),
    [("JPEG", "image/jpeg", "jpeg"), ("PNG", "image/png", "png"), ("WEBP", "image/webp", "webp")],
)
def test_a_whole_manifest_of_an_unknown_signer(made, told, signer, form, mime, where):
    findings = told(signer.sign(made.encode(form), mime))
    found = state(findings)
    assert (found.value, found.weight, found.where) == ("Valid", "strong", "C2PA")
    assert "was not checked" in found.meaning
    values = {f.field: f.value for f in findings}
    assert values["signer"] == "newsroom, Test newsroom"
    assert values["claim generator"] == "mesoscope tests 1"
    assert values["actions"] == "created, edited by Test editor"
    assert values["digitalSourceType"] == "trainedAlgorithmicMedia"
    (kind,) = [f for f in findings if f.kind == "source_type"]
    assert kind.weight == "strong"
    assert [f for f in findings if f.kind == "metadata"] == []  # it does say something


def test_a_signer_whom_the_user_trusts(made, told, signer):
    data = signer.sign(made.encode())
    assert state(told(data, trust_anchors=signer.anchors)).value == "Trusted"


def test_a_signer_who_is_not_on_the_users_list(made, told, signer):
    other = type(signer)()
    found = state(told(signer.sign(made.encode()), trust_anchors=other.anchors))
    assert found.value == "Valid; the signer is not among those that you trust"
    assert "not on your list" in found.meaning


def test_a_picture_changed_after_signing(made, told, signer):
    data = bytearray(signer.sign(made.encode()))
    data[-40] ^= 1
    findings = told(bytes(data))
    found = state(findings)
    assert found.value == "Invalid; the file was changed after it was signed"
    assert "believe nothing" in found.meaning
    # What a broken manifest says must not look like evidence.
    (kind,) = [f for f in findings if f.kind == "source_type"]
    assert kind.weight == "hint"
    assert "no evidence" in kind.meaning


def test_a_manifest_changed_after_signing(made, told, signer):
    data = signer.sign(made.encode())
    assert data.count(b"trainedAlgorithmicMedia") == 1
    forged = data.replace(b"trainedAlgorithmicMedia", b"digitalCapture.........")
    found = state(told(forged))
    assert found.value == "Invalid; the manifest itself was changed after it was signed"


def test_a_damaged_manifest(made, told, signer):
    data = bytearray(signer.sign(made.encode()))
    at = data.find(b"jumb") + 60
    data[at : at + 10] = bytes(10)
    (found,) = told(bytes(data), "credentials")
    assert found.field == "manifest"
    assert found.value.startswith("cannot be read: ")
    assert "vouch for nothing" in found.meaning


def test_a_manifest_that_was_taken_out(made, told, signer):
    signed = signer.sign(made.encode())
    again = io.BytesIO()
    Image.open(io.BytesIO(signed)).save(again, "JPEG")
    assert told(again.getvalue(), "credentials") == []
    assert [f.value for f in told(again.getvalue(), "metadata")] == ["none"]


def test_ingredients_are_told(made, told, signer):
    data = signer.sign(made.encode(), ingredient=made.encode(pixels=made.pattern(seed=1)))
    assert [f.value for f in told(data, field="ingredients")] == ["old.jpg"]


def test_without_the_extra_it_names_the_line_that_installs_it(made, told, signer, monkeypatch):
    data = signer.sign(made.encode())
    monkeypatch.setitem(sys.modules, "c2pa", None)
    (found,) = told(data, "credentials")
    assert (found.value, found.where) == ("present, not read", "JPEG APP11")
    assert "pip install 'mesoscope[c2pa]'" in found.meaning


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "mp4"])
def test_a_manifest_is_seen_without_the_extra(made, told, monkeypatch, kind):
    """Whatever the container; here with nothing behind the labels."""
    monkeypatch.setitem(sys.modules, "c2pa", None)
    box = b"\0\0\0\x30jumb\0\0\0\x28jumdc2pa" + bytes(32)
    data = {
        "jpeg": lambda: made.insert(
            made.encode(), made.segment(0xEB, b"JP\0\1\0\0\0\1" + box)
        ),
        "png": lambda: made.with_chunks(made.encode("PNG"), made.chunk(b"caBX", box)),
        "webp": lambda: _longer(made.encode("WEBP") + b"C2PA\x38\0\0\0" + box + bytes(8)),
        "gif": lambda: made.encode("GIF")[:-1] + b"\x21\xff\x0bC2PA_GIF\1\0\0\x02ab\0\x3b",
        "mp4": lambda: b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x20uuid"
        + bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(8),
    }[kind]()  # fmt: skip
    (found,) = told(data, "credentials")
    assert found.value == "present, not read"


def _longer(webp):
    return webp[:4] + (len(webp) - 8).to_bytes(4, "little") + webp[8:]


def test_other_jumbf_boxes_are_no_credentials(made, told):
    box = b"\0\0\0\x30jumb\0\0\0\x28jumdxml " + bytes(32)
    data = made.insert(made.encode(), made.segment(0xEB, b"JP\0\1\0\0\0\1" + box))
    assert told(data, "credentials") == []


def test_a_manifest_kept_elsewhere_is_named_and_not_fetched(made, told):
    (found,) = told(made.with_xmp(attributes='dcterms:provenance="https://example.org/m.c2pa"'))[:1]
    assert (found.kind, found.value) == ("credentials", "https://example.org/m.c2pa")
    assert "not fetched" in found.meaning


@pytest.mark.parametrize("anchors", ["my friends", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_list_of_trust_that_cannot_be_read(made, signer, anchors):
    with pytest.raises(OptionError, match="root certificates as PEM"):
        read_provenance(signer.sign(made.encode()), trust_anchors=anchors)
