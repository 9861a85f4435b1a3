"""The certificates that other tests trust to be good, and to be bad in one way only."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.support.pki import (
    BAD,
    BAD_CLIENT,
    BAD_SERVER,
    CERTIFICATE,
    CRL,
    KEY,
    ROOTS,
    Authority,
    Leaf,
)


def shake(client: Leaf, server: Leaf, folder: Path) -> None:
    """A handshake of two ends in memory; raises what either of them says."""
    ends = []
    for name, leaf, role in (("client", client, False), ("server", server, True)):
        kept = leaf.write(folder / name)
        protocol = ssl.PROTOCOL_TLS_SERVER if role else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(kept / CERTIFICATE, kept / KEY)
        context.load_verify_locations(kept / ROOTS)
        if (kept / CRL).exists():
            context.load_verify_locations(kept / CRL)
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
        ends.append((context, role))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    (theirs, _), (ours, _) = ends
    one = theirs.wrap_bio(to_client, to_server)
    other = ours.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (one, other):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("intermediate", [False, True])
def test_good_ones_are_taken_by_both_ends(tmp_path: Path, intermediate: bool) -> None:
    authority = Authority(intermediate=intermediate)
    checks = Leaf(**{**vars(authority.issue("default/inv")), "crl": authority.crl})
    shake(authority.issue("default/front"), checks, tmp_path)


# What OpenSSL itself refuses; the rest is for those who know SPIFFE.
_SAYS = {
    "expired": "certificate has expired",
    "not yet valid": "certificate is not yet valid",
    "self-signed": "self-signed certificate",
    "other authority": "certificate signature failure|unable to get local issuer",
    "wrong key usage": "unsuitable certificate purpose",
    "revoked": "certificate revoked",
    "for servers only": "unsuitable certificate purpose",
    "for clients only": "unsuitable certificate purpose",
}


@pytest.mark.parametrize("name", [*BAD, *BAD_CLIENT, *BAD_SERVER])
def test_bad_ones_are_bad_in_one_way(tmp_path: Path, name: str) -> None:
    authority = Authority()
    spoil = {**BAD, **BAD_CLIENT, **BAD_SERVER}[name]
    bad, good = spoil(authority, "default/front"), authority.issue("default/inv")
    good = Leaf(good.certificate, good.key, good.roots, authority.crl)
    client, server = (good, bad) if name in BAD_SERVER else (bad, good)
    if name in _SAYS:
        with pytest.raises(ssl.SSLCertVerificationError, match=_SAYS[name]):
            shake(client, server, tmp_path)
    else:
        shake(client, server, tmp_path)
