"""Endpoints that are plain ports of this sidecar: a call to one comes back, and goes there again.

As is easily done on a laptop, where the app's port and the sidecar's are of one address. An app may
well call itself: from a port for the app's calls to one for its callers, which leads to the app.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshproxy.base.addr import Address
from meshproxy.model.cluster import Cluster
from meshproxy.model.listener import Listener
from meshproxy.model.origin import BUILT_IN
from meshproxy.translate.assembly.remarks import Remarks

_EVERYWHERE = ("0.0.0.0", "::")
_LOOPBACK = ("127.0.0.1", "::1")


def remark_loops(
    listeners: Iterable[Listener],
    clusters: Iterable[Cluster],
    own: Iterable[str],
    remarks: Remarks,
) -> None:
    """``own``: addresses of this host that listeners of all addresses are called at."""
    ports = _plain_ports(listeners, own)
    numbers = {address.port for _, address in ports}
    told = set()
    for cluster in clusters if ports else ():
        direction = cluster.name.partition("|")[0]
        for endpoint in cluster.endpoints:
            if endpoint.address.port not in numbers:
                continue  # nearly all, and there may be thousands
            listener = ports.get((direction, Address(*endpoint.address)))
            origin = cluster.origin if endpoint.origin is BUILT_IN else endpoint.origin
            if listener is not None and (origin, endpoint.address) not in told:
                told.add((origin, endpoint.address))
                text = (
                    f"the endpoint {endpoint.address} is this sidecar's own port"
                    f" (of {listener.origin}): calls to it never end"
                )
                remarks.at(origin, text, "say in its ports where the app listens")


def _plain_ports(
    listeners: Iterable[Listener], own: Iterable[str]
) -> dict[tuple[str, Address], Listener]:
    found = {}
    for listener in listeners:
        if not listener.captured:
            for ip in listener.bind:
                for each in (*_LOOPBACK, *own) if ip in _EVERYWHERE else (ip,):
                    found[listener.direction.value, Address(each, listener.port)] = listener
    return found
