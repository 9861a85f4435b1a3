"""``meshproxy version``."""

from __future__ import annotations

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
        shown = {"version": __version__, "python": platform.python_version()}
        click.echo(json.dumps({"clientVersion": shown}))
    else:
        click.echo(__version__ if short else f"meshproxy {__version__}")
