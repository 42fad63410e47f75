"""Content Credentials: offline validation of C2PA manifests, by the ``c2pa`` extra."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

from mesoscope.errors import OptionError
from mesoscope.media.provenance.finding import Finding
from mesoscope.media.provenance.software import source_type

if TYPE_CHECKING:
    from collections.abc import Iterable

_WHERE = "C2PA"
_FORMATS = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
    "tiff": "image/tiff", "avif": "image/avif", "heif": "image/heif", "video": "video/mp4",
}  # fmt: skip
_MOST_LISTED = 6
_UNTRUSTED = ("signingCredential.untrusted", "timeStamp.untrusted")
# Codes of the C2PA specification, 15.2. Others are shown with the library's explanation.
_REASONS = {
    "signingCredential.untrusted": "the signer is not among those that you trust",
    "signingCredential.expired": "the signer's certificate had expired",
    "signingCredential.invalid": "the signer's certificate is not fit for signing",
    "signingCredential.revoked": "the signer's certificate was revoked",
    "claimSignature.mismatch": "the signature does not belong to this manifest",
    "claimSignature.missing": "the manifest is not signed",
    "claimSignature.outsideValidity": "it was signed outside the certificate's time",
    "assertion.dataHash.mismatch": "the file was changed after it was signed",
    "assertion.bmffHash.mismatch": "the file was changed after it was signed",
    "assertion.boxesHash.mismatch": "the file was changed after it was signed",
    "assertion.hashedURI.mismatch": "the manifest itself was changed after it was signed",
    "assertion.missing": "a part of the manifest is missing",
    "claim.missing": "the claim is missing",
    "timeStamp.untrusted": "the time stamp's signer is not among those that you trust",
    "timeStamp.mismatch": "the time stamp does not belong to this manifest",
}
_TRUSTED = (
    "The manifest is whole, belongs to this file, and was signed by one that you trust. It shows "
    "who vouches for the file and that it was not changed since; whether what they say is true "
    "depends on them."
)
_VALID = (
    "The manifest is whole and belongs to this file, which was not changed since it was signed. "
    "{} Anyone can make a certificate of any name."
)
_INVALID = (
    "The manifest does not hold for this file as it is now: believe nothing that it says. Any save "
    "by a program that does not know C2PA does this; forging does it, too."
)


def credentials(
    file: BinaryIO, kind: str, place: str, *, trust_anchors: str | None = None
) -> list[Finding]:
    """Validate the C2PA manifest of a file, without network access.

    Args:
        file: The file, at its start.
        kind: Format of the file, such as ``jpeg``.
        place: Location of the manifest in the file, such as ``JPEG APP11``.
        trust_anchors: Trusted root certificates in PEM.

    Raises:
        OptionError: ``trust_anchors`` are not certificates.
    """
    try:
        import c2pa
    except ImportError:
        return [
            Finding(
                "credentials", "manifest", "present, not read", place,
                "The file carries Content Credentials: a signed statement of how it was made. To "
                "read and check it, mesoscope needs its c2pa extra, which is not installed.",
                "hint",
            )
        ]  # fmt: skip
    if trust_anchors is not None:
        _check_anchors(trust_anchors)
    try:
        context = c2pa.Context.from_dict(_settings(trust_anchors))
        form = "video/avi" if (kind, place) == ("video", "RIFF C2PA") else _FORMATS.get(kind)
        with c2pa.Reader(form, file, context=context) as reader:
            store = json.loads(reader.json())
        return _store(store, checked=trust_anchors is not None)
    except (c2pa.C2paError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return [
            Finding(
                "credentials", "manifest", f"cannot be read: {reason}", place,
                "The file carries Content Credentials that are damaged, so they vouch for nothing.",
                "strong",
            )
        ]  # fmt: skip


def _check_anchors(pem: str) -> None:
    """Check the trust anchors, as the library silently ignores those that it cannot read."""
    from cryptography.x509 import load_pem_x509_certificates  # part of the extra

    try:
        load_pem_x509_certificates(pem.encode("ascii"))
    except ValueError as error:
        raise OptionError(
            "the list of trusted signers holds no certificates that can be read: give root "
            "certificates as PEM"
        ) from error


def _settings(trust_anchors: str | None) -> dict[str, Any]:
    """Return the library's settings: no network, and only the given trust anchors."""
    settings: dict[str, Any] = {
        "verify": {
            "verify_after_reading": True,
            "verify_trust": True,
            "ocsp_fetch": False,
            "remote_manifest_fetch": False,
        },
        "core": {"allowed_network_hosts": []},
    }
    if trust_anchors is not None:
        settings["trust"] = {"trust_anchors": trust_anchors}
    return settings


def _store(store: dict[str, Any], *, checked: bool) -> list[Finding]:
    """Convert a manifest store of the library to findings."""
    state = str(store.get("validation_state"))
    found = [_validation(state, store, checked=checked)]
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    caveat = "" if state != "Invalid" else " The manifest does not hold, so this is no evidence."
    found += [
        Finding("credentials", field, value, _WHERE, f"{meaning}{caveat}")
        for field, value, meaning in _statements(manifest)
        if value
    ]
    for code in dict.fromkeys(_source_types(manifest)):
        finding = source_type(code, "digitalSourceType", _WHERE)
        if caveat:
            finding = Finding(
                "source_type", finding.field, finding.value, _WHERE, f"{finding.meaning}{caveat}",
                "hint",
            )  # fmt: skip
        found.append(finding)
    return found


def _validation(state: str, store: dict[str, Any], *, checked: bool) -> Finding:
    """Return the validation state with its reasons."""
    failures = [
        _REASONS.get(str(item.get("code")), f"{item.get('code')}: {item.get('explanation')}")
        for item in store.get("validation_status") or ()
        # Without trust anchors every signer is untrusted, which the meaning mentions.
        if checked or item.get("code") not in _UNTRUSTED
    ]
    value = "; ".join([state, *dict.fromkeys(failures)])
    meaning = {
        "Trusted": _TRUSTED,
        "Valid": _VALID.format(
            "The signer is not on your list."
            if checked
            else "Who the signer is was not checked, as no list of trusted ones was given."
        ),
        "Invalid": _INVALID,
    }.get(state, "A state that is not known here.")
    return Finding("credentials", "validation state", value, _WHERE, meaning, "strong")


def _statements(manifest: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Yield the manifest's statements: field, value, meaning."""
    signature = manifest.get("signature_info") or {}
    signer = ", ".join(
        str(signature[key]) for key in ("common_name", "issuer") if signature.get(key)
    )
    when = f", on {signature['time']}" if signature.get("time") else ""
    yield (
        "signer",
        f"{signer}{when}" if signer else "",
        "The name in the certificate that the manifest was signed with.",
    )
    makers = manifest.get("claim_generator_info") or []
    names = [f"{m.get('name', '')} {m.get('version', '')}".strip() for m in makers]
    yield (
        "claim generator",
        ", ".join(names) or str(manifest.get("claim_generator") or ""),
        "The program or camera that wrote the manifest.",
    )
    actions = [_action(action) for action in _actions(manifest)]
    yield (
        "actions",
        ", ".join(actions[:_MOST_LISTED]) + (" …" if len(actions) > _MOST_LISTED else ""),
        "What the signer says was done to the file, in order.",
    )
    ingredients = [
        str(item.get("title") or "untitled") for item in manifest.get("ingredients") or ()
    ]
    yield (
        "ingredients",
        ", ".join(ingredients[:_MOST_LISTED]),
        "Files that this one was made from, as the signer says.",
    )


def _actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        action
        for assertion in manifest.get("assertions") or ()
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions") or ()
        if isinstance(action, dict)
    ]


def _action(action: dict[str, Any]) -> str:
    name = str(action.get("action", "?")).removeprefix("c2pa.")
    agent = action.get("softwareAgent")
    agent = agent.get("name") if isinstance(agent, dict) else agent
    return f"{name} by {agent}" if agent else name


def _source_types(manifest: dict[str, Any]) -> Iterable[str]:
    for action in _actions(manifest):
        if action.get("digitalSourceType"):
            yield str(action["digitalSourceType"])
    for assertion in manifest.get("assertions") or ():
        data = assertion.get("data")
        if isinstance(data, dict):  # IPTC metadata in the manifest
            for key, value in data.items():
                if key.lower().endswith(":digitalsourcetype") and isinstance(value, str):
                    yield value
