"""What the app is told of its callers' certificates (``X-Forwarded-Client-Cert``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ForwardMode(Enum):
    """Istio's ``ForwardClientCertDetails``: of whom the field says something."""

    APPEND_FORWARD = "APPEND_FORWARD"  # what the caller said, then the caller
    SANITIZE_SET = "SANITIZE_SET"  # the caller alone
    FORWARD_ONLY = "FORWARD_ONLY"  # what the caller said, if it has shown a certificate
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"  # what the caller said, whoever it is
    SANITIZE = "SANITIZE"  # nobody


@dataclass(frozen=True, slots=True)
class CertDetails:
    """What is said of a caller beside who we are and its certificate's digest; Istio's defaults."""

    subject: bool = True
    cert: bool = False
    chain: bool = False
    dns: bool = True
    uri: bool = True


USUAL = CertDetails()


@dataclass(frozen=True, slots=True)
class ClientCert:
    """How callers' certificates are told of."""

    mode: ForwardMode = ForwardMode.APPEND_FORWARD
    details: CertDetails = USUAL


DEFAULT = ClientCert()
