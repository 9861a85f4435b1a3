"""Certificates of a workload for tests, made by the sidecar's own authority."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from meshproxy.authority.make import (
    Signer,
    certificate_pem,
    key_pem,
    make_authority,
    make_leaf,
    new_key,
)
from meshproxy.identity.spiffe import parse

CART = "spiffe://cluster.local/ns/shop/sa/cart"
CHAIN, KEY, ROOTS, CRL = "cert-chain.pem", "key.pem", "root-cert.pem", "ca-crl.pem"
_DAY = timedelta(days=1)
_lengths = itertools.count(1)


class Pair(NamedTuple):
    """PEM texts of a workload."""

    chain: bytes
    key: bytes
    roots: bytes

    def files(self) -> Mapping[str, bytes]:
        return {CHAIN: self.chain, KEY: self.key, ROOTS: self.roots}


class Mesh:
    """An authority, and what it issues. Times are UTC; ``now`` is when a life begins."""

    def __init__(
        self,
        trust_domain: str = "cluster.local",
        kind: str = "ec",
        intermediate: bool = False,
        root_life: timedelta = 36500 * _DAY,
    ) -> None:
        self._root_life = root_life
        self._domain = trust_domain
        self._kind = kind
        self._intermediate = intermediate

    @cached_property
    def root(self) -> Signer:
        made = datetime(2020, 1, 1, tzinfo=UTC)
        return make_authority(self._domain, new_key(self._kind), made, self._root_life, 1)

    @cached_property
    def signer(self) -> Signer:
        if not self._intermediate:
            return self.root
        made = datetime(2020, 1, 1, tzinfo=UTC)
        key = new_key(self._kind)
        return make_authority(self._domain, key, made, 30000 * _DAY, 0, self.root)

    @property
    def roots(self) -> bytes:
        return certificate_pem(self.root.certificate)

    def issue(
        self,
        identity: str = CART,
        now: datetime | None = None,
        life: timedelta = _DAY,
        dns: tuple[str, ...] = (),
    ) -> Pair:
        key = new_key(self._kind)
        begin = now or datetime.now(UTC)
        leaf = make_leaf(parse(identity), dns, key, begin, life, self.signer)
        return Pair(certificate_pem(leaf, *self.signer.chain), key_pem(key), self.roots)


def put(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files in place. Empty lines at the end make each writing differ in its length: within a
    tick of the kernel's clock a look could not tell them apart."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content + b"\n" * next(_lengths))


def serial(pair: Pair) -> int:
    """The leaf's serial number."""
    from cryptography import x509

    return x509.load_pem_x509_certificates(pair.chain)[0].serial_number
