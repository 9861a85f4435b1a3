"""One app and one sidecar for a module: shared by all its tests, made again for each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.peers import Peer
from tests.support.servers import App
from tests.support.sidecar import (
    KINDS,
    Sidecar,
    config,
    free_port,
    me,
    plain,
    service,
    settings,
    workload,
)


@dataclass(frozen=True)
class Scene:
    """``outbound`` is a port that the app's clients call, ``inbound`` one that its peers call."""

    app: App
    proxy: Sidecar
    outbound: int
    inbound: int

    def client(self, source: str = "") -> Peer:
        return Peer.connect(self.outbound, source=source)


@pytest.fixture(scope="module", params=KINDS)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """The app behind both an egress and an ingress port, on each reader and number of workers."""
    codec, workers = request.param
    outbound, inbound = free_port(), free_port()
    with App() as app:
        text = config(
            me(),
            service("app", outbound),
            workload("app-1", "app", {"http": app.port}),
            plain([(outbound, "HTTP")], [(inbound, "HTTP", app.port)]),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(text, codec=codec, workers=workers) as proxy:
            yield Scene(app, proxy, outbound, inbound)
