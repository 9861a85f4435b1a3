"""The list of commands. Each is imported only when it is run."""

from __future__ import annotations

import importlib
import sys

import click

from meshproxy import __version__

_COMMANDS = {
    "proxy": "Run the sidecar in the foreground.",
    "iptables": "Set the redirect rules (the init step).",
    "clean-iptables": "Remove the redirect rules.",
    "wait": "Wait until the local sidecar is ready.",
    "request": "Call the local sidecar's admin API.",
    "proxy-config": "Show what the sidecar holds, and from which document.",
    "ca": "Make an authority, and certificates of workloads.",
    "demo": "Show the whole on this machine: capture, split, count, change live.",
    "version": "Print the version.",
    "completion": "Print a shell's completion script.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ("iptables", "clean-iptables"):
            # `meshproxy.__main__` runs these before click is loaded; here they are only listed.
            return click.Command(cmd_name, short_help=_COMMANDS[cmd_name])
        cmd_name = {"pc": "proxy-config"}.get(cmd_name, cmd_name)  # as istioctl has it
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"meshproxy.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        command.short_help = _COMMANDS[cmd_name]
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="meshproxy")
def cli() -> None:
    """A service-mesh sidecar: captures, routes and shows an app's traffic.

    It reads the YAML that is written for Istio and Kubernetes.
    """


def run(arguments: list[str], name: str) -> int:
    """Run a command line; the exit status. Wrong usage is one sentence and status 2.

    Called as ``pilot-agent``, or as injection templates call it, flags that only that program has
    are left out.
    """
    if arguments[:2] == ["proxy", "sidecar"] or (
        name == "pilot-agent" and arguments[:1] == ["proxy"]
    ):
        arguments = ["proxy", *_understood(arguments[1:])]
    try:
        status = cli.main(arguments, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        return 130
    return status if isinstance(status, int) else 0


def _understood(arguments: list[str]) -> list[str]:
    from meshproxy.cli.foreign import without_foreign
    from meshproxy.cli.proxy import command

    known = {option for parameter in command.params for option in parameter.opts}
    kept, dropped = without_foreign(arguments, known | {"--help", "-h"}, ("sidecar",))
    if dropped and "debug" in " ".join(kept):
        click.echo(f"not known here, left out: {' '.join(dropped)}", err=True)
    return kept
