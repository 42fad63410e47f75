"""README for a package index, where no file of the repository lies beside it.

Links to files become links into the repository that ``[project.urls]`` of pyproject.toml names as
``Repository``. Where it names none, they become plain words, so that none leads nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|mailto:|#)([^)\s]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Gives the package's metadata its long description."""

    def update(self, metadata: dict) -> None:
        """Called by hatchling as the metadata are put together."""
        text = Path(self.root, "README.md").read_text("utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_index(text, repository)}


def for_index(text: str, repository: str | None) -> str:
    """Markdown whose links and pictures need no file beside it."""

    def changed(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        if repository is None:
            return f"*{words}*" if mark else words
        kind = "raw" if mark else "blob"
        return f"{mark}[{words}]({repository.rstrip('/')}/{kind}/HEAD/{target.removeprefix('./')})"

    return LINK.sub(changed, text)
