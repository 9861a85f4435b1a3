"""The weights of a VirtualService: read as YAML, changed as a person would, in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

_SUBSET = re.compile(r"\s*subset:\s*(\S+)")
_WEIGHT = re.compile(r"(\s*weight:\s*)\d+")


def weights(text: str) -> dict[str, int]:
    """Subsets and their weights."""
    routes = yaml.safe_load(text)["spec"]["http"][0]["route"]
    return {route["destination"]["subset"]: route["weight"] for route in routes}


def reweighted(text: str, new: Mapping[str, int]) -> str:
    """The same text, comments and all, with other weights."""
    lines, subset = [], ""
    for line in text.splitlines():
        if found := _SUBSET.match(line):
            subset = found[1]
        elif (found := _WEIGHT.match(line)) and subset in new:
            line = f"{found[1]}{new[subset]}"
        lines.append(line)
    return "\n".join([*lines, ""])


def shown(split: Mapping[str, int]) -> str:
    """``90/10``."""
    return "/".join(str(weight) for weight in split.values())
