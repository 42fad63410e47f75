"""Files with metadata, made by code; certificates of our own."""

import datetime as dt
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mesoscope.media.provenance import read_provenance

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"


def pattern(height=48, width=64, seed=0):
    """Smooth enough to survive JPEG, (height, width, 3) uint8 RGB."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def encode(form="JPEG", pixels=None, **options):
    file = io.BytesIO()
    Image.fromarray(pattern() if pixels is None else pixels).save(file, form, **options)
    return file.getvalue()


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def insert(jpeg, *segments):
    """Segments right behind a JPEG's first marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(name, body):
    crc = zlib.crc32(body, zlib.crc32(name))
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


def with_chunks(png, *chunks):
    """Chunks right behind a PNG's header."""
    return png[:33] + b"".join(chunks) + png[33:]


def packet(body="", attributes="", toolkit="test"):
    """An XMP packet with one description."""
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="{toolkit}">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
        ' xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"'
        ' xmlns:stRef="http://ns.adobe.com/xap/1.0/sType/ResourceRef#"'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        ' xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"'
        ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
        ' xmlns:exif="http://ns.adobe.com/exif/1.0/"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:dcterms="http://purl.org/dc/terms/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f" {attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def with_xmp(body="", attributes="", toolkit="test"):
    return insert(encode(), segment(0xE1, XMP_SEGMENT + packet(body, attributes, toolkit)))


def with_exif(tags=(), inner=(), gps=(), **options):
    """A JPEG whose EXIF holds such tags: of the picture, of the EXIF and of the GPS directory."""
    exif = Image.Exif()
    exif.update(dict(tags))
    exif.get_ifd(0x8769).update(dict(inner))
    exif.get_ifd(0x8825).update(dict(gps))
    return encode(exif=exif.tobytes(), **options)


class Made:
    """The makers above, as tests of several files ask for them."""

    pattern = staticmethod(pattern)
    encode = staticmethod(encode)
    segment = staticmethod(segment)
    insert = staticmethod(insert)
    chunk = staticmethod(chunk)
    with_chunks = staticmethod(with_chunks)
    packet = staticmethod(packet)
    with_xmp = staticmethod(with_xmp)
    with_exif = staticmethod(with_exif)


@pytest.fixture(scope="session")
def made():
    """Makers of files with metadata."""
    return Made


@pytest.fixture(scope="session")
def told():
    """``told(data, kind=None, field=None)`` → findings of a file, of that kind and field."""

    def ask(data, kind=None, field=None, **options):
        return [
            finding
            for finding in read_provenance(data, **options).findings
            if kind in (None, finding.kind) and field in (None, finding.field)
        ]

    return ask


@pytest.fixture(scope="session")
def signer():
    """A certificate of our own that signs, and the one that vouches for it."""
    pytest.importorskip("c2pa", reason="the c2pa extra is not installed")
    return Signer()


class Signer:
    """Signs pictures; ``anchors`` is the root certificate in PEM."""

    def __init__(self):
        from cryptography.hazmat.primitives.asymmetric import ec

        root_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = _certificate("root", root_key, None, root_key)
        self.leaf = _certificate("newsroom", self.key, self.root, root_key)
        self.anchors = _pem(self.root).decode("ascii")

    def sign(self, data, mime="image/jpeg", *, ingredient=None, remote=None, embed=True):
        """The picture with a manifest: created, then edited; ``remote`` is its address, too."""
        import c2pa

        created = {"action": "c2pa.created", "digitalSourceType": GENERATED}
        edited = {"action": "c2pa.edited", "softwareAgent": {"name": "Test editor"}}
        manifest = {
            "claim_generator_info": [{"name": "mesoscope tests", "version": "1"}],
            "title": "a pattern",
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created, edited]}}],
        }
        settings = {
            "verify": {"verify_trust": False, "remote_manifest_fetch": False},
            "builder": {"thumbnail": {"enabled": False}},
        }
        signed = io.BytesIO()
        info = c2pa.C2paSignerInfo(b"es256", _pem(self.leaf) + _pem(self.root), self._key(), None)
        context = c2pa.Context.from_dict(settings)
        with (
            c2pa.Builder(manifest, context=context) as builder,
            c2pa.Signer.from_info(info) as hand,
        ):
            if ingredient is not None:
                described = {"title": "old.jpg", "relationship": "componentOf"}
                builder.add_ingredient(described, "image/jpeg", io.BytesIO(ingredient))
            if remote is not None:
                builder.set_remote_url(remote)
            if not embed:
                builder.set_no_embed()
            builder.sign(hand, mime, io.BytesIO(data), signed)
        return signed.getvalue()

    def _key(self):
        from cryptography.hazmat.primitives import serialization as form

        return self.key.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        )


def _certificate(name, key, issuer, issuer_key):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root = issuer is None
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"Test {name}"),
        ]
    )
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    only = {"encipher_only": False, "decipher_only": False}
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if root else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc))
        .not_valid_after(dt.datetime(2120, 1, 1, tzinfo=dt.timezone.utc))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not root, key_cert_sign=root, crl_sign=root, **usage, **only
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not root:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate):
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)
