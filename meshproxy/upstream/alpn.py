"""What we offer by ALPN, by what is going to be spoken.

Sidecars tell by the first of the mesh's names what is inside (Istio, `alpn_filter`); the last is
what a server that knows nothing of meshes picks. `istio-peer-exchange` is not offered: who picks it
sends its metadata before the first byte.
"""

from __future__ import annotations

from typing import NamedTuple


class Alpn(NamedTuple):
    """``mesh``: to another sidecar. ``other``: to anybody else."""

    mesh: tuple[str, ...]
    other: tuple[str, ...]


HTTP1 = Alpn(("istio-http/1.1", "istio", "http/1.1"), ("http/1.1",))
HTTP2 = Alpn(("istio-h2", "istio", "h2"), ("h2",))
TCP = Alpn(("istio",), ())
