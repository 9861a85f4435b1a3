"""``meshproxy request``: call the local admin API."""

from __future__ import annotations

import http.client

import click


@click.command()
@click.argument("method")
@click.argument("path")
@click.option("--admin-port", default=15000, show_default=True, type=click.IntRange(1, 65535))
def command(method: str, path: str, admin_port: int) -> int:
    """Call the local sidecar's admin API, as in: meshproxy request GET /config_dump"""
    path = path if path.startswith("/") else f"/{path}"
    connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=10)
    try:
        connection.request(method.upper(), path)
        answer = connection.getresponse()
        body = answer.read()
    except OSError as error:
        click.echo(
            f"no sidecar answers on 127.0.0.1:{admin_port}: {error.strerror or error}", err=True
        )
        return 1
    finally:
        connection.close()
    click.echo(body.decode("utf-8", "replace"), nl=False, err=answer.status >= 400)
    return 0 if answer.status < 400 else 1
