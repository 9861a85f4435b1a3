"""What is written about requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessLog:
    """One access log. ``path`` "" is off. ``json``: pairs of key and format, in order; else text.

    ``text`` is a line without its newline.

    Formats are Envoy's command operators (access log documentation).
    """

    path: str = ""
    text: str = ""
    json: tuple[tuple[str, str], ...] = ()
    outbound: bool = True
    inbound: bool = True


OFF = AccessLog()
