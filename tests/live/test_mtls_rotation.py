"""Certificates and roots are exchanged under load, and no request notices.

As a careful operator does it: first everybody trusts the new root beside the old one, then
everybody shows a certificate of the new one, then nobody trusts the old one any more.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Self

import pytest

from tests.support.hop import (
    BACK,
    FRONT,
    PROTOCOLS,
    Apps,
    Caller,
    called,
    caller,
)
from tests.support.pki import Authority, Leaf
from tests.support.sidecar import Sidecar
from tests.support.tls import Secure, client_context

WORKERS = 2
REACHES = 2.0  # seconds in which new files are with every worker


class Load:
    """Asks in threads of its own while the block runs: each function again and again."""

    def __init__(self, **asks: Callable[[], int]) -> None:
        self._done = threading.Event()
        self.served: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(name, ask)) for name, ask in asks.items()
        ]

    def _run(self, name: str, ask: Callable[[], int]) -> None:
        while not self._done.is_set():
            try:
                status = ask()
            except Exception as error:  # in a thread it would only be printed
                self.wrong.append(f"{name}: {error!r}")
                continue
            self.served[name] += 1
            if status != 200:
                self.wrong.append(f"{name}: {status}")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


class Holder:
    """The certificates of one sidecar, and how they get to it."""

    def __init__(self, sidecar: Sidecar, account: str, leaf: Leaf) -> None:
        self._certs = sidecar.folder / "certs"
        self._account = account
        self._versions = 0
        self.leaf = leaf

    def trust(self, roots: bytes) -> None:
        self._put(replace(self.leaf, roots=roots))

    def show(self, authority: Authority) -> None:
        self._put(replace(authority.issue(self._account), roots=self.leaf.roots))

    def _put(self, leaf: Leaf) -> None:
        """In turns: file by file into the folder, and another folder at once, as Kubernetes does."""
        self._versions += 1
        self.leaf = leaf
        if self._versions % 2:
            leaf.write(self._certs.resolve())
            return
        link = self._certs.with_name("certs.next")
        link.symlink_to(leaf.write(self._certs.with_name(f"certs-{self._versions}")))
        os.replace(link, self._certs)


class Mesh:
    """Both sidecars, and a caller by hand that has the front's certificate as well."""

    def __init__(self, old: Authority, front: Holder, back: Holder, port: int) -> None:
        self.authority = old
        self._front = front
        self._back = back
        self._port = port

    def ask(self) -> int:
        """A request on a TLS connection of its own."""
        with Secure(self._port, self._front.leaf) as client:
            return client.ask(host="back").status

    def rotate(self) -> None:
        """To another authority, and nobody trusts the last one any more."""
        new = Authority()
        both = self.authority.roots + new.roots
        for step in (
            lambda holder: holder.trust(both),
            lambda holder: holder.show(new),
            lambda holder: holder.trust(new.roots),
        ):
            for holder in (self._front, self._back):
                step(holder)
            time.sleep(REACHES)
        self.authority = new
        self._expect()

    def _expect(self) -> None:
        """Every worker shows the new certificate: connections fall on all of them."""
        wanted = self._back.leaf.x509.serial_number
        context = client_context(self._front.leaf)
        for _ in range(20):
            with Secure(self._port, context) as client:
                assert client.theirs.serial_number == wanted


def rotations(count: int) -> None:
    authority = Authority()
    front, back = authority.issue(FRONT), authority.issue(BACK)
    with (
        Apps() as apps,
        called("ours", back, apps, workers=WORKERS) as server,
        caller("ours", front, server.ports, workers=WORKERS) as client,
    ):
        mesh = Mesh(
            authority,
            Holder(client.ours, FRONT, front),
            Holder(server.ours, BACK, back),
            server.ports["http"],
        )
        asks = {each: partial(_ask, client, each) for each in PROTOCOLS}
        with Load(direct=mesh.ask, **asks) as load:
            for _ in range(count):
                mesh.rotate()
        assert not load.wrong, load.wrong[:5]
        assert min(load.served[name] for name in ("direct", *PROTOCOLS)) > 20 * count
        for end in (server.ours, client.ours):
            assert end.metrics().value("istio_requests_total", response_code="503") == 0


def _ask(client: Caller, protocol: str) -> int:
    return client.ask(protocol).status


def test_a_rotation_with_roots() -> None:
    rotations(1)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_ten_rotations_with_roots() -> None:
    rotations(10)
