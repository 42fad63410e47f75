"""IPTC's vocabulary of digital source types, in words of our own.

The codes are those of https://cv.iptc.org/newscodes/digitalsourcetype/ as of September 2024, with
the retired ones, and the two that C2PA adds.
"""

from __future__ import annotations

from mesoscope.media.provenance.finding import Finding, Weight

_TYPES: dict[str, tuple[str, Weight]] = {
    "trainedAlgorithmicMedia": (
        "made by a trained model, which is to say by generative AI",
        "strong",
    ),
    "compositeWithTrainedAlgorithmicMedia": (
        "a picture into which generative AI put something, as by inpainting or outpainting",
        "strong",
    ),
    "compositeSynthetic": ("put together of parts of which at least one is synthetic", "strong"),
    "algorithmicMedia": ("made by an algorithm that was not trained on pictures", "strong"),
    "virtualRecording": ("a recording of a virtual scene, as of a game or a rendering", "strong"),
    "dataDrivenMedia": ("drawn from data, as a chart is", "strong"),
    "digitalCreation": ("made by a person with a program, and not photographed", "strong"),
    "digitalArt": ("made by a person with a program, and not photographed", "strong"),
    "softwareImage": ("made by software", "strong"),
    "composite": ("put together of several pictures", "strong"),
    "compositeCapture": ("put together of several pictures that were photographed", "strong"),
    "algorithmicallyEnhanced": ("changed by an algorithm that is not generative", "hint"),
    "humanEdits": ("edited by a person without generative AI", "hint"),
    "minorHumanEdits": ("edited a little by a person", "hint"),
    "screenCapture": ("captured from a screen", "hint"),
    "computationalCapture": ("photographed; the camera merged several exposures", "note"),
    "digitalCapture": ("photographed by a digital camera", "note"),
    "negativeFilm": ("scanned from a negative", "note"),
    "positiveFilm": ("scanned from a slide", "note"),
    "print": ("scanned from a print", "note"),
    "empty": ("an empty canvas when it was begun", "note"),
    "trainedAlgorithmicData": ("data made by a trained model", "strong"),
}
_GENERATED = frozenset(
    ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicData")
)


def source_type(value: str, field: str, where: str) -> Finding:
    """What a digital source type means; an unknown code is told as it stands."""
    code = value.rstrip("/").rpartition("/")[2].rpartition(":")[2]
    known = next((name for name in _TYPES if name.lower() == code.lower()), None)
    if known is None:
        return Finding(
            "source_type", field, value, where,
            "The file carries a digital source type that is not among IPTC's codes known here.",
            "hint",
        )  # fmt: skip
    says, weight = _TYPES[known]
    limit = (
        "Generators write this themselves, so it is seldom there by mistake. Where it is missing, "
        "that means nothing: it is lost when metadata are removed."
        if known in _GENERATED
        else "It is a statement of whoever wrote the file, and can be wrong."
    )
    return Finding(
        "source_type", field, known, where, f"The file says it is {says}. {limit}", weight
    )
