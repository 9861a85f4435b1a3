"""The example files: where they are, how they are filled in, how a sidecar gets to see a change."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from meshproxy.demo.errors import DemoError

_PACKAGE = Path(__file__).resolve().parents[1]
# Beside the package in a checkout; inside of it in an installation.
_PLACES = (_PACKAGE.parent / "examples", _PACKAGE / "examples")
_OURS = Path("demo/inventory-split.yaml")


def examples() -> Path:
    """The folder of examples. Raises `DemoError` where they were left out."""
    for place in _PLACES:
        if (place / _OURS).is_file():
            return place
    raise DemoError(f"The example files are missing; they should be in {_PLACES[-1]}.")


def yaml_texts(folder: Path) -> dict[str, str]:
    """Every YAML file of a folder, by its name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}


def fill(text: str, words: Mapping[str, str]) -> str:
    """The text with other addresses and ports: whole words alone, so 8080 is not part of 18080."""
    if not words:
        return text
    known = "|".join(re.escape(word) for word in words)
    return re.sub(rf"(?<![\w.])({known})(?![\w.])", lambda found: words[found[1]], text)


def publish(path: Path, text: str) -> None:
    """Put a file where sidecars, which run as another user, see all of it or nothing."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o644)  # whatever the umask was
    os.replace(new, path)


def open_folder(path: Path) -> Path:
    """A new folder that other users can read."""
    path.mkdir()
    path.chmod(0o755)
    return path
