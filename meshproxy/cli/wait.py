"""``meshproxy wait``: hold an app until its sidecar can carry its traffic."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

import click


@click.command()
@click.option("--timeoutSeconds", "timeout", default=60, show_default=True, help="Longest wait.")
@click.option(
    "--periodMillis", "period", default=500, show_default=True, help="Time between two looks."
)
@click.option(
    "--requestTimeoutMillis", "request_timeout", default=500, show_default=True, help="Of a look."
)
@click.option(
    "--url",
    default="http://localhost:15021/healthz/ready",
    show_default=True,
    help="What to look at.",
)
def command(timeout: int, period: int, request_timeout: int, url: str) -> int:
    """Wait until the local sidecar is ready; exit status 1 if it takes too long."""
    end = time.monotonic() + timeout  # noqa: TID251 (a command line's own wait)
    reason = "nothing was asked"
    # The sidecar must be asked itself, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(url, timeout=request_timeout / 1000):
                return 0
        except urllib.error.HTTPError as error:
            reason = error.read().decode("utf-8", "replace").strip() or str(error)
        except (OSError, ValueError) as error:
            reason = f"{url}: {getattr(error, 'reason', error)}"
        if time.monotonic() + period / 1000 > end:  # noqa: TID251
            click.echo(f"the sidecar is not ready after {timeout} s: {reason}", err=True)
            return 1
        time.sleep(period / 1000)
