"""What a translation is for: which workload, on which host, listening where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """``workload``: namespace and name; None: the one at an address of ``host_addresses``.

    A port of 0 turns that listener off. ``domain`` is the cluster's DNS domain. ``access_log`` is
    the file for an access log that the configuration itself does not ask for, "" for none.
    ``transparent``: inbound traffic is captured by TPROXY; ``keep_source``: and the app sees its
    callers' addresses. ``identity``: it has a certificate of the mesh, or will have.
    """

    workload: tuple[str, str] | None = None
    host_addresses: frozenset[str] = frozenset()
    trust_domain: str = "cluster.local"
    domain: str = "cluster.local"
    outbound_port: int = 15001
    inbound_port: int = 15006
    bind: tuple[str, ...] = ("0.0.0.0",)
    access_log: str = ""
    transparent: bool = False
    keep_source: bool = False
    identity: bool = False
