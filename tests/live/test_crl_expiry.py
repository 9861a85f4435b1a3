"""A revocation list that is not replaced: said before, and loudly once callers are refused."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest

from tests.support.hop import BACK, FRONT, me, ours
from tests.support.peers import Peer, request, wait_until
from tests.support.pki import CERTIFICATE, KEY, ROOTS, Authority
from tests.support.servers import App
from tests.support.sidecar import config, free_port, istio, plain

pytestmark = pytest.mark.peer


def ask(port: int, folder: Path) -> int:
    """The status that a caller in the mesh gets; 0 where it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(folder / ROOTS)
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    with contextlib.suppress(OSError, EOFError), Peer.connect(port) as peer:
        peer.sock = context.wrap_socket(peer.sock)
        peer.send(request())
        return peer.answer().status
    return 0


def test_a_list_that_is_not_replaced(tmp_path: Path) -> None:
    authority = Authority()
    front, back = authority.issue(FRONT).write(tmp_path), authority.issue(BACK)
    port = free_port()
    with App() as app:
        text = config(
            me("back"),
            plain(ingress=[(port, "HTTP", app.port)]),
            istio("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
        )
        back = type(back)(back.certificate, back.key, back.roots, authority.crl_for(6))
        with ours(text, back) as proxy:
            proxy.wait_for_log("has not been replaced: it expires at")
            assert ask(port, front) == 200
            seconds = proxy.metrics().value("meshproxy_crl_expiry_seconds", resource_name="ROOTCA")
            assert 0 < seconds < 6
            wait_until(lambda: "(crl_expired)" in proxy.log, "the list has expired")
            assert ask(port, front) == 0

            def refused() -> float:
                count = "meshproxy_connections_refused_total"
                return proxy.metrics().value(count, reason="crl_expired")

            wait_until(lambda: refused() == 1, "refused")
            assert "the revocation list of its authority has expired" in proxy.log
            certs = proxy.folder / "certs"
            (certs / "ca-crl.pem").write_bytes(authority.crl)
            wait_until(lambda: ask(port, front) == 200, "a new list")
