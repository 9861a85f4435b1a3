"""``meshproxy completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    For bash: meshproxy completion bash > /etc/bash_completion.d/meshproxy
    """
    from meshproxy.cli.main import cli

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "meshproxy", "_MESHPROXY_COMPLETE").source())
