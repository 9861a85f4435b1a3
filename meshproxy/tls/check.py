"""Whether OpenSSL will take what it is to be given: a key for its certificate, a chain to a root.

The supervisor asks before it hands anything to the workers. It asks the library that will use it,
by a handshake in memory where signatures are concerned: another one would cost 10 MB.
"""

from __future__ import annotations

import ssl

from meshproxy.tls.material import in_memory

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the module has no name for
# The last: a key of another kind, for which there is no certificate.
_MISMATCH = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
_TURNS = 10  # of messages; TLS 1.3 takes three


class Unusable(Exception):
    """What OpenSSL has against it; ``reason`` is one of the constants below or its own words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


LOCKED, MISMATCH, NO_KEY = "the key is locked", "the key is another's", "there is no key"


def check_pair(certificate: bytes, key: bytes) -> None:
    """`Unusable` if the key is not that of the certificate, which is the first of the PEM text."""
    _server(certificate, key)


def check_chain(certificate: bytes, key: bytes, roots: bytes) -> None:
    """`Unusable` if the certificate does not lead to one of the roots. Times don't count."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    check_roots(roots, b"", client)
    try:
        _shake_hands(_server(certificate, key), client)
    except ssl.SSLCertVerificationError as error:
        raise Unusable(error.verify_message) from None
    except ssl.SSLError as error:
        raise Unusable(_words(error)) from None


def check_roots(roots: bytes, crl: bytes, context: ssl.SSLContext | None = None) -> None:
    """`Unusable` if the roots or revocation lists can't be read."""
    context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with in_memory(roots.rstrip() + b"\n" + crl) as path:
            context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise Unusable(_words(error)) from None


def _server(certificate: bytes, key: bytes) -> ssl.SSLContext:
    locked: list[bool] = []

    def password() -> str:
        """Asked only if the key is locked; without this, OpenSSL would ask at the terminal."""
        locked.append(True)
        return ""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        with in_memory(certificate) as chain_path, in_memory(key) as key_path:
            context.load_cert_chain(chain_path, key_path, password)
    except ssl.SSLError as error:
        if locked:
            raise Unusable(LOCKED) from None
        if error.reason in _MISMATCH:
            raise Unusable(MISMATCH) from None
        # What it can't read has no reason of its own: the certificate has been read before.
        raise Unusable(
            _words(error) if error.library == "SSL" and error.reason else NO_KEY
        ) from None
    return context


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Until the client is content. Raises ``ssl.SSLError``."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    calls = client.wrap_bio(back, there)
    answers = server.wrap_bio(there, back, server_side=True)
    for _ in range(_TURNS):
        try:
            calls.do_handshake()
            return
        except ssl.SSLWantReadError:
            pass
        try:
            answers.do_handshake()
        except ssl.SSLWantReadError:
            pass
    raise ssl.SSLError("the handshake does not end")


def _words(error: ssl.SSLError) -> str:
    return (error.reason or "it can't be read").lower().replace("_", " ")
