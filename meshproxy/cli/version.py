"""``meshproxy version``."""

from __future__ import annotations

import importlib.util
import json
import platform

import click

from meshproxy import __version__


@click.command()
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.option("-s", "--short", is_flag=True, help="The number alone.")
def command(output: str, short: bool) -> None:
    """Print the version."""
    if output == "json":
        shown = {
            "version": __version__,
            "python": platform.python_version(),
            "dataPath": "compiled" if _compiled() else "interpreted",
        }
        click.echo(json.dumps({"clientVersion": shown}))
    else:
        click.echo(__version__ if short else f"meshproxy {__version__}")


def _compiled() -> bool:
    """Whether requests run through libraries that `scripts/compile.py` made."""
    found = importlib.util.find_spec("meshproxy.serve.exchange")
    return found is not None and not (found.origin or "").endswith(".py")
