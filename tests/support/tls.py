"""A caller of the mesh by hand: TLS by Python's own library, and the requests of `Peer` in it.

with Secure(port, leaf) as client:
    assert client.ask().status == 200
    serial = client.theirs.serial_number
"""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from tests.support.peers import LOCAL, PATIENCE, Peer
from tests.support.pki import CERTIFICATE, KEY, ROOTS, Leaf

SNI = "outbound_.80_._.back.default.svc.cluster.local"
ISTIO_HTTP = ("istio-http/1.1", "istio", "http/1.1")
ISTIO_TCP = ("istio-peer-exchange", "istio")


def client_context(leaf: Leaf, alpn: Iterable[str] = ISTIO_HTTP) -> ssl.SSLContext:
    """Shows the leaf, if there is one, and checks the server by its roots alone, not by name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if listed := list(alpn):
        context.set_alpn_protocols(listed)
    with tempfile.TemporaryDirectory() as name:
        folder = leaf.write(Path(name))
        context.load_verify_locations(folder / ROOTS)
        if leaf.certificate:
            context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context


class Secure(Peer):
    """A connection with the handshake done."""

    def __init__(
        self, port: int, leaf: Leaf | ssl.SSLContext, alpn: Iterable[str] = ISTIO_HTTP
    ) -> None:
        context = leaf if isinstance(leaf, ssl.SSLContext) else client_context(leaf, alpn)
        plain = socket.create_connection((LOCAL, port), PATIENCE)
        try:
            self.tls = context.wrap_socket(plain, server_hostname=SNI)
        except BaseException:
            plain.close()
            raise
        super().__init__(self.tls)

    @property
    def theirs(self) -> x509.Certificate:
        """What the server has shown."""
        shown = self.tls.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown)
