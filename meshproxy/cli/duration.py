"""Lengths of time on the command line."""

from __future__ import annotations

import re

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds, written as Go does, or in days."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)", str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration: write 25s, 500ms, 1m, 24h, 30d or seconds")
        return float(match[1]) * _UNITS[match[2]]
