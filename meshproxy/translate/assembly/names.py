"""Names that users look for in dumps, logs and metrics: Istio's, to the letter."""

from __future__ import annotations

PASSTHROUGH = "PassthroughCluster"
BLACK_HOLE = "BlackHoleCluster"
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"
VIRTUAL_OUTBOUND = "virtualOutbound"
VIRTUAL_INBOUND = "virtualInbound"


def outbound_cluster(port: int, host: str, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{host}"


def outbound_sni(port: int, host: str, subset: str = "") -> str:
    """The name that mutual TLS in the mesh asks for (Istio `BuildDNSSrvSubsetKey`)."""
    return f"outbound_.{port}_.{subset}_.{host}"


def inbound_cluster(port: int) -> str:
    return f"inbound|{port}||"


def host_key(route_config: str, host: str) -> str:
    """The key of a virtual host in a snapshot's ``hosts``."""
    return f"{route_config}/{host}"
