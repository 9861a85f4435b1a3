"""Options and rules for tests, from a command line as users write it."""

from __future__ import annotations

import functools

from iptables import arguments, settings
from iptables.options import Facts, Options
from iptables.rules.compose import compose
from iptables.rules.rule import Rule

BOTH_FAMILIES = Facts(ipv6=True)
IPV4 = Facts()


class People:
    """A host with two users and two groups."""

    def user(self, name: str) -> int | None:
        return {"istio-proxy": 1234, "alice": 501}.get(name)

    def group(self, name: str) -> int | None:
        return {"java": 300, "ftp": 301}.get(name)


@functools.cache
def read(*argv: str, **environ: str) -> tuple[Options, list[str]]:
    """Options and problems; the proxy's user does not exist unless the test says so."""
    environ.setdefault("ENVOY_USER", "nobody-here")
    parser = arguments.parser("iptables", "")
    return settings.read(arguments.given(parser, argv, environ), People())


def options(*argv: str, **environ: str) -> Options:
    """Options of a command line without problems."""
    found, problems = read(*argv, **environ)
    assert problems == []
    return found


@functools.cache
def rules(*argv: str, facts: Facts = IPV4, **environ: str) -> tuple[Rule, ...]:
    """The rules of a command line."""
    return compose(options(*argv, **environ), facts)
