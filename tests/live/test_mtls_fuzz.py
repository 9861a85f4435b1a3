"""A live sidecar is shown ClientHellos that are nearly right: it lives on, and stays small."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import pytest

from tests.support.hop import BACK, FRONT, Apps, Called, called
from tests.support.peers import Peer
from tests.support.pki import Authority, Leaf
from tests.support.sidecar import Watch
from tests.support.tls import Secure
from tests.unit.wire.test_client_hello import real_hello, records

MIB = 1024  # of KiB, as the kernel counts
_ALPN = (["istio-http/1.1", "istio", "http/1.1"], ["istio-peer-exchange", "istio"], ["h2"], [])


def hellos(chance: random.Random) -> Iterator[bytes]:
    """Real ones, with a few bytes, a length or a piece changed, and cut into records at random."""
    names = ("outbound_.80_._.back.default.svc.cluster.local", "a", None)
    originals = [real_hello(name, list(alpn)) for name in names for alpn in _ALPN]
    while True:
        hello = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, 4)):
            _spoil(hello, chance)
        if chance.random() < 0.3:
            sizes = [chance.randint(1, 200) for _ in range(chance.randint(1, 3))]
            hello = bytearray(records(bytes(hello[5:]), *sizes))
        yield bytes(hello)


def _spoil(hello: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(hello))
    match chance.randrange(5):
        case 0:
            hello[at] ^= 1 << chance.randrange(8)
        case 1:
            hello[at : at + 2] = chance.choice((b"\x00\x00", b"\xff\xff", b"\x7f\xff", b"\x00\x01"))
        case 2:
            del hello[at : at + chance.randint(1, 40)]
        case 3:
            hello[at:at] = chance.randbytes(chance.randint(1, 40))
        case _:
            del hello[max(1, at) :]
    if not hello:
        hello += b"\x16"


def segments(data: bytes, chance: random.Random) -> list[bytes]:
    """The bytes in a few pieces."""
    cuts = sorted(chance.sample(range(len(data)), min(chance.randint(0, 3), len(data))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


def show(port: int, data: bytes, chance: random.Random) -> None:
    """Send it, read what comes, and go."""
    # The refusal may come at any point: also as ENOTCONN, when ending what was reset.
    with contextlib.suppress(OSError), Peer.connect(port) as peer:
        for piece in segments(data, chance):
            peer.send(piece)
        peer.end()
        peer.ending()


def fuzz(server: Called, leaf: Leaf, count: int, seed: int) -> None:
    chance = random.Random(seed)
    found = hellos(chance)
    ports = [server.ports["http"], server.ports["tcp"]]
    for _ in range(count // 5):  # until every buffer has its size
        show(chance.choice(ports), next(found), chance)
    workers = server.ours.workers()
    with Watch(lambda: max(server.ours.pss().values()), interval=0.2) as memory:
        for _ in range(count):
            show(chance.choice(ports), next(found), chance)
    assert server.ours.workers() == workers, "a worker has ended"
    assert memory.growth < 2 * MIB
    with Secure(server.ports["http"], leaf) as client:
        assert client.ask(host="back").status == 200


MODES = pytest.mark.parametrize("strict", [True, False], ids=["strict", "permissive"])


@MODES
def test_mutated_hellos(strict: bool) -> None:
    authority = Authority()
    with Apps() as apps, called("ours", authority.issue(BACK), apps, strict=strict) as server:
        fuzz(server, authority.issue(FRONT), 400, seed=5)


@pytest.mark.long
@MODES
@pytest.mark.parametrize("seed", range(3))
def test_many_mutated_hellos(strict: bool, seed: int) -> None:
    authority = Authority()
    with Apps() as apps, called("ours", authority.issue(BACK), apps, strict=strict) as server:
        fuzz(server, authority.issue(FRONT), 10_000, seed)
