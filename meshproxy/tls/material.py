"""From PEM texts to OpenSSL's contexts, without a file on a disk.

OpenSSL reads keys and lists of revoked certificates from files alone, so they are handed over as
`memfd`s, which exist in memory only and are closed at once.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator

from meshproxy.model.secret import Secret
from meshproxy.model.tls import ANY, DownstreamTls, ServerMode, TlsParameters, TlsVersion

# TLS 1.2: forward secrecy and AEAD alone. All of TLS 1.3's are.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS = {
    TlsVersion.V1_2: ssl.TLSVersion.TLSv1_2,
    TlsVersion.V1_3: ssl.TLSVersion.TLSv1_3,
}


def server_context(
    secret: Secret, alpn: tuple[str, ...], tls: DownstreamTls, tickets: bool
) -> ssl.SSLContext:
    """For callers, who have to show a certificate if ``tls.mode`` says so. Raises ``ssl.SSLError``.

    Without ``tickets`` no session is resumed: it would be known to this worker alone, and each
    costs 0.6 ms to make.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, tls.parameters)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if tickets:
        context.num_tickets = 1
    else:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    context.set_alpn_protocols(list(alpn))
    _own(context, secret)
    if tls.mode is not ServerMode.SIMPLE:
        _trust(context, secret)
    if tls.mode is ServerMode.OPTIONAL_MUTUAL:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(
    secret: Secret,
    alpn: tuple[str, ...],
    verify: bool,
    by_name: bool,
    parameters: TlsParameters = ANY,
) -> ssl.SSLContext:
    """For calls to an upstream. Raises ``ssl.SSLError``.

    ``by_name``: OpenSSL compares the server's name itself. Where the secret has no roots, the
    system's count.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, parameters)
    context.check_hostname = verify and by_name
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if secret.certificate:
        _own(context, secret)
    if verify:
        _trust(context, secret)
    return context


def _context(protocol: int, parameters: TlsParameters) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = _VERSIONS[parameters.least or TlsVersion.V1_2]
    if parameters.most is not None:
        context.maximum_version = _VERSIONS[parameters.most]
    context.set_ciphers(":".join(parameters.ciphers) or _CIPHERS)
    if parameters.curve:
        context.set_ecdh_curve(parameters.curve)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


def _own(context: ssl.SSLContext, secret: Secret) -> None:
    with in_memory(secret.key.rstrip() + b"\n" + secret.certificate) as path:
        context.load_cert_chain(path)


def _trust(context: ssl.SSLContext, secret: Secret) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    if not secret.roots:
        context.load_default_certs()
        return
    with in_memory(secret.roots.rstrip() + b"\n" + secret.crl) as path:
        context.load_verify_locations(path)
    if secret.crl:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    # An intermediate authority in ``roots`` is trusted by itself, as Envoy has it.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


@contextlib.contextmanager
def in_memory(data: bytes) -> Iterator[str]:
    """A path under which OpenSSL finds these bytes, for as long as the block lasts."""
    fd = os.memfd_create("meshproxy", os.MFD_CLOEXEC)
    try:
        os.write(fd, data)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
