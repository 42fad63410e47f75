"""Names of programs, and what kind of program each is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mesoscope.media.provenance.finding import Finding, FindingKind, Weight


@dataclass(frozen=True, slots=True)
class _Group:
    kind: FindingKind
    weight: Weight
    names: str
    meaning: str


# The first group that matches decides: "Photoshop Lightroom" develops, "Photoshop" edits. Names
# that are everyday words are left out.
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
    """What the name of a program means.

    Args:
        name: As it stands in the file.
        field: The field it stands in.
        where: As in a finding.
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
    """What a free text means: a known program's name, or anything."""
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
