"""What programs for generative AI write beside their pictures: prompts, settings, whole graphs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesoscope.media.provenance.finding import Finding
from mesoscope.media.provenance.software import comment, program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.media.provenance.parts import Text

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
# Names that NovelAI's pictures carry all together; the file's software names the program.
_PICTURE_KEYS = frozenset(("description", "comment"))


def generators(texts: Sequence[Text]) -> list[Finding]:
    """Findings about generators, programs that texts of a PNG or a clip name, and free texts.

    Args:
        texts: All named texts of a file, of PNG, EXIF, XMP or a clip's tags.
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
            found.append(_told(text, name))
        elif text.key.lower() in _PROGRAM_KEYS:
            found.append(program(text.value, text.key, text.where))
        elif _is_free(text):
            free.append(comment(text.value, text.key, text.where))
    return found + free[:_MOST_FREE]


def _is_free(text: Text) -> bool:
    """Whether a person may have something to say there."""
    if text.where in ("JPEG", "PNG text", "GIF"):
        return True
    return text.key.lower() in _FREE_KEYS and text.value.strip() != "Screenshot"


def _generator(text: Text, keys: set[str], *, novel: bool) -> str | None:
    """The program whose way of writing this text has."""
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


def _told(text: Text, name: str) -> Finding:
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
    """A ComfyUI graph in short: its models, its first prompt, how many nodes."""
    parts = []
    if models := sorted(set(_MODEL.findall(value))):
        parts.append("model " + ", ".join(models[:3]))
    if prompt := _PROMPT.search(value):
        parts.append(f'text "{prompt[1]}"')
    count = len(_NODE.findall(value))
    parts.append(f"{count} nodes" if count else value)
    return "; ".join(parts)
