"""``meshproxy demo``: the whole on one machine."""

from __future__ import annotations

import os
import sys

import click


@click.command()
@click.option(
    "--capture-mode",
    "mode",
    type=click.Choice(["REDIRECT", "NONE"]),
    help="REDIRECT: network namespaces and redirect rules, by root or in a user namespace. NONE:"
    " plain ports on loopback addresses. Default: REDIRECT where this machine allows it.",
)
@click.option(
    "--stay/--no-stay",
    default=None,
    help="Go on after the verdict until Ctrl-C. Default: at a terminal, unless CI=true.",
)
def command(mode: str | None, stay: bool | None) -> int:
    """Show capture, traffic split, metrics and a live change of configuration on this machine.

    Starts a small shop (order front, inventory v1 and v2, TCP echo), each app with its sidecar,
    sends it orders, and changes the split while they go on. Cleans up when it ends, however it
    ends. Exit status: 0 all as it should be, 1 not, 130 interrupted.
    """
    from meshproxy.demo import plain_user
    from meshproxy.demo.story import run_demo

    if stay is None:
        stay = sys.stdin.isatty() and sys.stdout.isatty() and not _in_ci()
    if mode != "NONE" and plain_user.available():
        click.echo("As a plain user: in a user namespace, where the demo may set redirect rules.")
        wanted = ["--capture-mode", mode] if mode else []
        return plain_user.run_confined([*wanted, "--stay" if stay else "--no-stay"])
    return run_demo(mode, stay)


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")
