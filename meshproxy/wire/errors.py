"""What a codec raises: the peer broke the rules, or asked for more than a bound allows."""

from __future__ import annotations

from typing import Final


class WireError(Exception):
    """The bytes can't be understood, or must not be.

    ``status`` is what the sender of a bad *request* is answered with; ``reason`` is one sentence
    that holds no byte of the input (it is sent back and logged). ``details`` continues Envoy's
    ``http1.`` response code details.
    """

    def __init__(self, reason: str, status: int = 400, details: str = "codec_error") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.details = details


class TooLarge(WireError):
    """A head or a trailer section is larger than its bound."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, 431, "headers_too_large")


PSEUDO_HEADER: Final = "http2.pseudo_header"  # the details of a broken head in HTTP/2
_BY_CODE = {3: "http2.flow_control", 6: "http2.frame_size", 9: "http2.compression"}


def details_of(code: int) -> str:
    """What breaking HTTP/2's rules is counted as, if there is no better word than the error code
    (RFC 9113 section 7)."""
    return _BY_CODE.get(code, "http2.codec_error")


class Broken(WireError):
    """An HTTP/2 connection can't go on; ``code`` is told to the peer."""

    def __init__(self, code: int, reason: str, details: str = "") -> None:
        super().__init__(reason, details=details or details_of(code))
        self.code = code
