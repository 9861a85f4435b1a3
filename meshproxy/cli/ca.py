"""``meshproxy ca``: the embedded certificate authority."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from meshproxy.cli.duration import Duration

_KEY_TYPE = click.option(
    "--key-type",
    type=click.Choice(["ec", "rsa"]),
    default="ec",
    show_default=True,
    help="ec is P-256, rsa has 2048 bits.",
)
_MOST_SECONDS = 100 * 365 * 86400.0


@click.group()
def command() -> None:
    """Make a certificate authority, and certificates of workloads.

    To start with, and for tests; its keys lie in files. `--certs` of the sidecar takes what `issue`
    writes, and takes it anew whenever it is written again.
    """


@command.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--trust-domain",
    envvar="TRUST_DOMAIN",
    default="cluster.local",
    show_default=True,
    show_envvar=True,
    help="SPIFFE trust domain that it signs for.",
)
@click.option("--intermediate", is_flag=True, help="Sign by an intermediate authority.")
@click.option(
    "--ttl", type=Duration(), default="3650d", show_default=True, help="Life of the root."
)
@_KEY_TYPE
def init(folder: Path, trust_domain: str, intermediate: bool, ttl: float, key_type: str) -> None:
    """Make an authority in DIR.

    Writes root-cert.pem, ca-cert.pem, ca-key.pem and cert-chain.pem, the names of Istio's `cacerts`
    Secret; with --intermediate also root-key.pem, which is better kept elsewhere.
    """
    from meshproxy.authority import store
    from meshproxy.identity import IdentityError
    from meshproxy.identity.spiffe import parse_trust_domain

    try:
        parse_trust_domain(trust_domain)
        made = store.init(
            folder, trust_domain, key_type, _life(ttl), intermediate, datetime.now(UTC)
        )
    except FileExistsError as error:
        text = f"{error} is there already: an authority is not replaced; remove it, or name another"
        raise click.UsageError(text) from None
    except IdentityError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise _failed(error) from None
    until = made.certificate.not_valid_after_utc
    click.echo(f"an authority of {trust_domain} in {folder}, valid until {_when(until)}")


@command.command("issue")
@click.option("--identity", required=True, help="SPIFFE ID, spiffe://TRUST-DOMAIN/ns/NS/sa/NAME.")
@click.option(
    "--ca",
    "authority",
    type=click.Path(path_type=Path, file_okay=False),
    default="ca",
    show_default=True,
    help="The authority's directory.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="certs",
    show_default=True,
    help="Where to write.",
)
@click.option("--ttl", type=Duration(), default="24h", show_default=True, help="Its life.")
@click.option("--dns", multiple=True, metavar="NAME", help="A DNS name, too; may be repeated.")
@_KEY_TYPE
def issue(
    identity: str, authority: Path, out: Path, ttl: float, dns: tuple[str, ...], key_type: str
) -> None:
    """Make a workload's certificate.

    Writes cert-chain.pem, key.pem (open to its owner alone) and root-cert.pem, all in one step:
    a sidecar that watches the directory never sees one without the other.
    """
    from meshproxy.authority import store
    from meshproxy.identity import IdentityError
    from meshproxy.identity.spiffe import parse

    try:
        who = parse(identity)
        if not who.path:
            raise click.UsageError(f"{identity} has no path: it names an authority, not a workload")
        if bad := [name for name in dns if not name.isascii() or not name.strip()]:
            raise click.UsageError(f"{bad[0]!r} is no DNS name")
        leaf = store.issue(authority, out, who, dns, key_type, _life(ttl), datetime.now(UTC))
    except (IdentityError, store.AuthorityError) as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise _failed(error) from None
    click.echo(f"{who} in {out}, valid until {_when(leaf.not_valid_after_utc)}")


def _life(seconds: float) -> timedelta:
    if not 1 <= seconds <= _MOST_SECONDS:
        raise click.UsageError("--ttl is from one second to a hundred years")
    return timedelta(seconds=seconds)


def _when(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _failed(error: OSError) -> click.ClickException:
    return click.ClickException(f"{error.filename or 'a file'}: {error.strerror}")
