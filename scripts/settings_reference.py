"""Prints the reference of the kind `Settings` as a Markdown table, from the model's own source.

The table in docs/configuration.md is this program's output; a test compares them.
"""

from __future__ import annotations

import dataclasses
import inspect
import re

from meshproxy.model.settings import Settings


def rows() -> list[tuple[str, str, str]]:
    """Name in YAML, default, and what the comment beside it says."""
    comments = dict(
        re.findall(r"^    (\w+): .*?# (.*)$", inspect.getsource(Settings), re.MULTILINE)
    )
    return [
        (_camel(field.name), _default(field), comments[field.name])
        for field in dataclasses.fields(Settings)
    ]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _default(field: dataclasses.Field[object]) -> str:
    value = field.default
    if isinstance(value, bool):
        return str(value).lower()
    if dataclasses.is_dataclass(value):
        return "none"
    if isinstance(value, float):
        return f"{value * 1000:g}ms" if 0 < value < 1 else f"{value:g}s"
    return str(value)


def table() -> str:
    lines = ["| field | default | meaning, precedent |", "|---|---|---|"]
    lines += [f"| `{name}` | {default} | {text} |" for name, default, text in rows()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
