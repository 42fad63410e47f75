"""Known program names, settings of generators, and IPTC's digital source types.

The codes are those of https://cv.iptc.org/newscodes/digitalsourcetype/ as of September 2024, with
the retired ones, and the two that C2PA adds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.media.provenance.finding import Finding, FindingKind, Weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.media.provenance.parts import Text


@dataclass(frozen=True, slots=True)
class _Group:
    kind: FindingKind
    weight: Weight
    names: str
    meaning: str


# The first matching group decides: "Photoshop Lightroom" develops, "Photoshop" edits. Names that
# are common words are omitted.
_GROUPS = (
    _Group(
        "generator", "strong",
        r"midjourney|dall[-·• ]?e\b|stable[ -]?diffusion|automatic1111|comfyui|novelai|invokeai|"
        r"fooocus|firefly|ideogram|image creator|openai|chatgpt|made with google ai|swarmui|"
        r"easy diffusion|draw ?things|diffusionbee|nightcafe|artbreeder|leonardo\.ai|"
        r"imagined with ai|kling ai|runway ?ml|playground ?ai",
        "This is the name of a program or service that makes pictures by generative AI: the file "
        "says it comes from there. A name can be written into any file, and is easily removed.",
    ),
    _Group(
        "software", "strong",
        r"faceapp|facetune|beautyplus|\bmeitu|\bremini\b|youcam|perfect365|\breface\b|deepfacelab|"
        r"facefusion|face ?swap|\blensa\b|airbrush",
        "This program is made to change or beautify faces, and the file went through it. What it "
        "changed is not told.",
    ),
    _Group(
        "software", "note",
        r"lightroom|capture one|camera raw|darktable|rawtherapee|\bdxo\b|photolab|"
        r"digital photo professional|nx studio|viewnx|photo mechanic|silkypix",
        "This program develops photographs: exposure, colour, crop, small repairs. Photographers "
        "use such programs for nearly every picture, so it says little.",
    ),
    _Group(
        "software", "hint",
        r"photoshop|\bgimp\b|affinity|pixelmator|paint\.net|\bkrita\b|paint ?shop|\bcorel|picsart|"
        r"\bcanva\b|snapseed|\bpixlr|photopea|\bcapcut|premiere|after effects|davinci resolve|"
        r"final cut|\bfotor\b|luminar|photoscape|\bpicasa\b|polarr|\bvsco\b|\binshot\b|"
        r"photodirector|photo editor|\bpaint\b",
        "This program can change anything in a picture, and the file went through it. Most use is "
        "harmless: cropping, brightening, resizing.",
    ),
    _Group(
        "software", "hint",
        r"exiftool|exiv2|exifpro|geosetter|exif (editor|pilot|date)",
        "This program edits metadata, so part of what this file says of itself was written by it. "
        "Archives and agencies do that as a matter of course.",
    ),
    _Group(
        "software", "note",
        r"imagemagick|graphicsmagick|\bgd-jpeg|\blibgd|\bpillow\b|opencv|\blavf|\blavc|ffmpeg|"
        r"handbrake|libvips|xnview|irfanview|jpegmini|mozjpeg|isobmff|libheif",
        "This program or library converts and rescales pictures or clips, often on a website's "
        "server. The file is a copy of something, and what that was is not told.",
    ),
    _Group(
        "software", "note", r"matplotlib|inkscape|blender|\br graphics",
        "This program draws or renders pictures. The file was not taken by a camera as it stands.",
    ),
)  # fmt: skip
_PATTERNS = [(re.compile(group.names, re.IGNORECASE), group) for group in _GROUPS]


def program(name: str, field: str, where: str) -> Finding:
    """Return the finding about a program's name.

    Args:
        name: Name in the file.
        field: :attr:`Finding.field`.
        where: :attr:`Finding.where`.
    """
    group = _group(name)
    if group is not None:
        return Finding(group.kind, field, name, where, group.meaning, group.weight)
    return Finding(
        "software", field, name, where,
        "A program, or the firmware of a camera or telephone, that wrote the file. The name is not "
        "among those known here.",
    )  # fmt: skip


def comment(text: str, field: str, where: str) -> Finding:
    """Return the finding about a free text, which may name a known program."""
    group = _group(text)
    if group is not None:
        return Finding(group.kind, field, text, where, group.meaning, group.weight)
    return Finding(
        "metadata", field, text, where, "A free text that a person or a program put into the file."
    )


def _group(name: str) -> _Group | None:
    return next((group for pattern, group in _PATTERNS if pattern.search(name[:1000])), None)


def names_generator(text: str) -> bool:
    """Whether a text, such as a credit line, names a generator."""
    return bool(_PATTERNS[0][0].search(text[:1000]))


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
    """Return the finding about a digital source type."""
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


_SETTINGS = re.compile(r"\bSteps: \d{1,6}\b.{0,400}?\b(Sampler|CFG scale|Seed): ", re.DOTALL)
_JOB = re.compile(r"\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NODE = re.compile(r'"class_type"\s*:\s*"([^"]{1,100})"')
_MODEL = re.compile(r'"(?:ckpt_name|unet_name)"\s*:\s*"([^"]{1,200})"')
_PROMPT = re.compile(r'"text"\s*:\s*"((?:[^"\\]|\\.){1,2000})"')
_INVOKE = frozenset(
    ("invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata", "dream")
)
_FREE_KEYS = frozenset(
    ("comment", "title", "description", "usercomment", "imagedescription", "dc:description")
)
_MOST_FREE = 5
_EDITED_TOO = (
    " The picture may have been changed since, and such a text can be written into any file."
)
_PROGRAM_KEYS = frozenset(
    ("software", "encoder", "creator", "generator", "creatortool", "muxingapp", "writingapp")
)
# Keys of all of NovelAI's pictures, where another key names the program.
_PICTURE_KEYS = frozenset(("description", "comment"))


def generators(texts: Sequence[Text]) -> list[Finding]:
    """Return the findings about generators, programs and free texts.

    Args:
        texts: All named texts of a file: of PNG, EXIF, XMP or a clip's tags.
    """
    keys = {text.key.lower() for text in texts}
    novel = any(
        text.key.lower() in ("software", "source", "title") and text.value.startswith("NovelAI")
        for text in texts
    )
    found: list[Finding] = []
    free: list[Finding] = []
    for text in texts:
        name = _generator(text, keys, novel=novel)
        if name is not None:
            found.append(_settings(text, name))
        elif text.key.lower() in _PROGRAM_KEYS:
            found.append(program(text.value, text.key, text.where))
        elif _is_free(text):
            free.append(comment(text.value, text.key, text.where))
    return found + free[:_MOST_FREE]


def _is_free(text: Text) -> bool:
    """Whether a text may be written by a person."""
    if text.where in ("JPEG", "PNG text", "GIF"):
        return True
    return text.key.lower() in _FREE_KEYS and text.value.strip() != "Screenshot"


def _generator(text: Text, keys: set[str], *, novel: bool) -> str | None:
    """Identify the generator that writes such a text; ``None`` if there is none."""
    key, value = text.key.lower(), text.value
    if '"sui_image_params"' in value:
        return "SwarmUI"
    if _NODE.search(value) or (key == "workflow" and '"nodes"' in value):
        return "ComfyUI"
    if key in _INVOKE:
        return "InvokeAI"
    if key == "parameters" and ("fooocus_scheme" in keys or '"base_model"' in value):
        return "Fooocus"
    if _SETTINGS.search(value):
        return "a Stable Diffusion web interface"
    if novel and key in _PICTURE_KEYS:
        return "NovelAI"
    if _JOB.search(value):
        return "Midjourney"
    if key in ("prompt", "negative_prompt", "negative prompt") and keys >= {"seed", "prompt"}:
        return "Easy Diffusion or a program that writes as it does"
    if key == "parameters":
        return "a generator, by the name of the text"
    return None


def _settings(text: Text, name: str) -> Finding:
    value = _graph(text.value) if name == "ComfyUI" else text.value
    return Finding(
        "generator",
        text.key,
        value,
        text.where,
        f"Settings as written by {name}: the file says that it was made with generative AI, and "
        f"how.{_EDITED_TOO}",
        "hint" if name.startswith("a generator") else "strong",
    )


def _graph(value: str) -> str:
    """Summarise a ComfyUI graph: models, first prompt and number of nodes."""
    parts = []
    if models := sorted(set(_MODEL.findall(value))):
        parts.append("model " + ", ".join(models[:3]))
    if prompt := _PROMPT.search(value):
        parts.append(f'text "{prompt[1]}"')
    count = len(_NODE.findall(value))
    parts.append(f"{count} nodes" if count else value)
    return "; ".join(parts)
