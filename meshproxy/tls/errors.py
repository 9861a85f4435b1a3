"""Why a connection could not be secured: a word for metrics and a sentence for people."""

from __future__ import annotations

import ssl

# OpenSSL's X509_V_ERR_*: the ones that people meet, each with a word of its own.
_VERIFY = {
    2: ("unknown_ca", "its certificate is signed by nobody we trust"),
    3: ("no_crl", "there is no revocation list for its authority"),
    9: ("not_yet_valid", "its certificate is not yet valid"),
    10: ("expired", "its certificate has expired"),
    11: ("crl_not_yet_valid", "the revocation list of its authority is not yet valid"),
    12: ("crl_expired", "the revocation list of its authority has expired"),
    18: ("self_signed", "its certificate is self-signed"),
    19: ("unknown_ca", "its certificate is signed by nobody we trust"),
    20: ("unknown_ca", "its certificate is signed by nobody we trust"),
    21: ("unknown_ca", "its certificate is signed by nobody we trust"),
    22: ("chain_too_long", "its certificate chain is too long"),
    23: ("revoked", "its certificate has been revoked"),
    24: ("bad_chain", "its certificate is signed by one that may not sign"),
    25: ("bad_chain", "its certificate is signed by one that may not sign such"),
    26: ("wrong_purpose", "its certificate is not for this purpose (key usage)"),
    62: ("wrong_name", "its certificate is not for the name that was asked for"),
    64: ("wrong_name", "its certificate is not for the address that was asked for"),
}
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": ("no_certificate", "it showed no certificate"),
    "NO_SHARED_CIPHER": ("no_shared_cipher", "it offers no cipher that is safe enough"),
    "UNSUPPORTED_PROTOCOL": ("old_version", "it offers no TLS 1.2 or later"),
    "VERSION_TOO_LOW": ("old_version", "it offers no TLS 1.2 or later"),
    "WRONG_VERSION_NUMBER": ("no_tls", "what it sent is no TLS"),
    "HTTP_REQUEST": ("no_tls", "what it sent is no TLS but HTTP"),
}


class TlsFailure(ConnectionResetError):
    """``word`` is one of a small set, for labels; ``reason`` a sentence for people."""

    def __init__(self, word: str, reason: str) -> None:
        super().__init__(reason)
        self.word = word
        self.reason = reason


def read_failure(error: Exception) -> TlsFailure:
    """What OpenSSL says, in our words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _VERIFY.get(error.verify_code)
        if known is not None:
            return TlsFailure(*known)
        return TlsFailure("bad_certificate", f"its certificate: {error.verify_message}")
    name = str(getattr(error, "reason", "") or "")
    if name in _REASONS:
        return TlsFailure(*_REASONS[name])
    if "_ALERT_" in name:
        # TLSV1_ALERT_UNKNOWN_CA, TLSV13_ALERT_CERTIFICATE_REQUIRED, SSLV3_ALERT_BAD_CERTIFICATE
        alert = name.partition("_ALERT_")[2].lower().replace("_", " ")
        return TlsFailure("alert", f"the peer refused us: {alert}")
    said = name.lower().replace("_", " ") or "broken TLS"
    return TlsFailure("broken", f"broken TLS: {said}")
