"""``meshproxy proxy-config``: what the sidecar holds, as ``istioctl proxy-config`` shows it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

if TYPE_CHECKING:
    from meshproxy.show.tables import Table

_ADMIN_PORT = click.option(
    "--admin-port", default=15000, show_default=True, type=click.IntRange(1, 65535)
)
_OUTPUTS = click.Choice(["short", "table", "json", "yaml"])


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every table."""
    for option in (
        _ADMIN_PORT,
        click.option(
            "-f",
            "--file",
            type=click.Path(exists=True, dir_okay=False),
            help="Read a stored /config_dump?include_eds instead.",
        ),
        click.option(
            "-o", "--output", type=_OUTPUTS, default="short", show_default=True, help="Form."
        ),
    ):
        function = option(function)
    return function


# Other words that istioctl takes for a command.
_ALIASES = {
    **dict.fromkeys(("listener", "lds", "l"), "listeners"),
    **dict.fromkeys(("route", "rds", "r"), "routes"),
    **dict.fromkeys(("cluster", "cds", "c"), "clusters"),
    **dict.fromkeys(("endpoint", "eds", "ep"), "endpoints"),
    **dict.fromkeys(("secret", "s"), "secrets"),
    "a": "all",
    "o": "log",
}


class _Parts(click.Group):
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, _ALIASES.get(cmd_name, cmd_name))


_FQDN = click.option("--fqdn", default="", help="Only of services whose host name holds this.")
_PORT = click.option("--port", default=0, type=click.IntRange(0, 65535), help="Only this port.")
_SUBSET = click.option("--subset", default="", help="Only this subset.")
_ADDRESS = click.option("--address", default="", help="Only this IP address.")
_NAME = click.option("--name", default="", help="Only the part of this name.")
_DIRECTION = click.option(
    "--direction",
    default="",
    type=click.Choice(["", "inbound", "outbound"], case_sensitive=False),
    help="Only what the app is called by (inbound) or calls (outbound).",
)


@click.group(cls=_Parts)
def command() -> None:
    """Show what the running sidecar holds, and which document each part came from.

    Columns and words are those of `istioctl proxy-config`; the last column is ours. Everything is
    read from the local admin port, or from a stored config dump (--file).
    """


@command.command("listeners")
@_shared
@_PORT
@_ADDRESS
@_NAME
@_DIRECTION
@click.option("--type", default="", help="HTTP, TCP or HTTP+TCP.")
def listeners(file: str | None, admin_port: int, output: str, **wanted: Any) -> int:
    """What is listened on, and where connections go."""
    return _show(["LISTENERS"], file, admin_port, output, wanted)


@command.command("routes")
@_shared
@_NAME
@_FQDN
def routes(file: str | None, admin_port: int, output: str, **wanted: Any) -> int:
    """Rules by host: what is matched, and the VirtualService that says so."""
    return _show(["ROUTES"], file, admin_port, output, wanted)


@command.command("clusters")
@_shared
@_FQDN
@_PORT
@_SUBSET
@_DIRECTION
def clusters(file: str | None, admin_port: int, output: str, **wanted: Any) -> int:
    """Where requests can be sent."""
    return _show(["CLUSTERS"], file, admin_port, output, wanted)


@command.command("endpoints")
@_shared
@_FQDN
@_PORT
@_ADDRESS
@_DIRECTION
@click.option("--cluster", default="", help="Only of the cluster of this name.")
@click.option("--status", default="", help="Only of this health status, such as HEALTHY.")
def endpoints(file: str | None, admin_port: int, output: str, **wanted: Any) -> int:
    """Addresses that requests are sent to."""
    return _show(["ENDPOINTS"], file, admin_port, output, wanted)


@command.command("secrets")
@_shared
@_NAME
def secrets(file: str | None, admin_port: int, output: str, **wanted: Any) -> int:
    """Certificates and roots, and how long they are valid; columns are istioctl's alone."""
    return _show(["SECRETS"], file, admin_port, output, wanted)


@command.command("all")
@_shared
@_FQDN
@_PORT
@_DIRECTION
def everything(file: str | None, admin_port: int, output: str, **wanted: Any) -> int:
    """Clusters, listeners, routes and endpoints, one after the other; as JSON the whole dump."""
    return _show(["CLUSTERS", "LISTENERS", "ROUTES", "ENDPOINTS"], file, admin_port, output, wanted)


@command.command("log")
@_ADMIN_PORT
@click.option("--level", default="", help="LEVEL for all, or NAME:LEVEL,NAME:LEVEL.")
def log(admin_port: int, level: str) -> int:
    """Show the levels of the sidecar's own log, or change them."""
    if ":" in level:
        query = urlencode({"paths": level})
    else:
        query = urlencode({"level": level}) if level else ""
    click.echo(_ask(admin_port, "POST", f"/logging?{query}"), nl=False)
    return 0


def _show(
    names: list[str], file: str | None, port: int, output: str, wanted: dict[str, Any]
) -> int:
    from meshproxy.show import tables
    from meshproxy.show.reading import Dump

    try:
        value = _dump(file, port)
        dump = Dump(value)
    except ValueError as error:
        raise click.ClickException(f"{file or 'the answer'}: {error}") from None
    asked = tables.Wanted(**wanted)
    if output in ("json", "yaml"):
        whole = len(names) > 1 and not any(asked)
        found = (
            value if whole else [part for name in names for part in _table(name).parts(dump, asked)]
        )
        click.echo(_written(found, output), nl=False)
        return 0
    shown = [tables.table(_table(name), dump, asked) for name in names]
    click.echo("\n".join(shown), nl=False)
    return 0


def _table(name: str) -> Table:
    from meshproxy.show import secrets_table, tables

    if name == "SECRETS":
        return secrets_table.secrets_table(datetime.now(UTC).timestamp())
    found: Table = getattr(tables, name)
    return found


def _dump(file: str | None, port: int) -> Any:
    """The config dump as values; ``ValueError`` where that is no JSON."""
    if file is None:
        return json.loads(_ask(port, "GET", "/config_dump?include_eds"))
    with open(file, encoding="utf-8") as stored:
        return json.load(stored)


def _written(value: Any, output: str) -> str:
    if output == "json":
        return json.dumps(value, indent=4) + "\n"
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False))


def _ask(port: int, method: str, path: str) -> str:
    """The answer of the local admin API; a `click.ClickException` where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
    except OSError as error:
        text = f"no sidecar answers on 127.0.0.1:{port}: {error.strerror or error}"
        raise click.ClickException(text) from None
    finally:
        connection.close()
    if answer.status >= 400:
        raise click.ClickException(body.strip())
    return body
