"""C2PA manifests: whole, trusted, tampered with, taken out, and without the reader."""

import io
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from mesoscope.errors import OptionError
from mesoscope.media.provenance import read_provenance
from mesoscope.media.provenance.credentials import credentials


def state(findings):
    (found,) = [f for f in findings if f.field == "validation state"]
    return found


@pytest.mark.parametrize(
    ("form", "mime"),
    [
        ("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"),
        ("GIF", "image/gif"), ("TIFF", "image/tiff"),
    ],
)  # fmt: skip
def test_a_whole_manifest_of_an_unknown_signer(made, told, signer, form, mime):
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


def test_without_the_extra_it_names_the_extra(made, told, signer, monkeypatch):
    data = signer.sign(made.encode())
    monkeypatch.setitem(sys.modules, "c2pa", None)
    (found,) = told(data, "credentials")
    assert (found.value, found.where) == ("present, not read", "JPEG APP11")
    assert "needs its c2pa extra" in found.meaning


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


@pytest.mark.parametrize("embed", [True, False])
def test_nobody_is_asked_over_the_network(made, told, signer, embed):
    """A manifest may name an address of its own, here on this machine: it must not be visited."""
    visits = []

    class Visited(BaseHTTPRequestHandler):
        def do_GET(self):
            visits.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Visited) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/manifest.c2pa"
        data = signer.sign(made.encode(), remote=address, embed=embed)
        assert address.encode() in data
        visits.clear()  # signing is not what is tested
        findings = told(data, "credentials")
        asked = credentials(io.BytesIO(data), "jpeg", "XMP")  # whatever was seen in the file
        server.shutdown()
    assert visits == []
    assert asked
    assert [f.value for f in findings if f.field == "dcterms:provenance"] == [address]
    assert bool([f for f in findings if f.field == "validation state"]) == embed


@pytest.mark.parametrize(("name", "mime"), [("clip.mp4", "video/mp4"), ("clip.avi", "video/avi")])
def test_a_clip(tmp_path, told, signer, name, mime):
    import av
    import numpy as np

    path = tmp_path / name
    with av.open(str(path), "w") as clip:
        stream = clip.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for grey in range(0, 250, 50):
            pixels = np.full((64, 64, 3), grey, np.uint8)
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        clip.mux(stream.encode())
    data = signer.sign(path.read_bytes(), mime)
    path.write_bytes(data)
    assert state(told(path, trust_anchors=signer.anchors)).value == "Trusted"
    changed = bytearray(data)
    changed[changed.rfind(b"mdat" if name.endswith("mp4") else b"movi") + 30] ^= 0xFF
    assert state(told(bytes(changed))).value == "Invalid; the file was changed after it was signed"
