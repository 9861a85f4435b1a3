"""What the user asked for, and what the host is like: the two inputs of the pure core."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final

Cidr = IPv4Interface | IPv6Interface

# The uid (and gid) that the sidecar runs as where nothing else is said (Istio's).
DEFAULT_PROXY_UID: Final = "1337"


class Backend(Enum):
    """Which program puts the rules into the kernel."""

    AUTO = "auto"
    NFT = "nft"  # iptables-nft: iptables' language over nf_tables
    LEGACY = "legacy"  # iptables-legacy: the older kernel interface
    NFTABLES = "nftables"  # nft itself: all tables and both families in one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that flags and environment say, checked and typed.

    Lists keep the order they were given in, because rules stand in that order. An owner is a
    number or, in a dry run, a name.
    """

    proxy_port: int = 15001
    inbound_port: int = 15006
    tunnel_port: int = 15008
    proxy_uids: tuple[str, ...] = (DEFAULT_PROXY_UID,)
    proxy_gids: tuple[str, ...] = (DEFAULT_PROXY_UID,)

    tproxy: bool = False
    tproxy_mark: int = 1337
    tproxy_table: int = 133
    original_source: bool = False

    inbound_all: bool = False
    inbound_ports: tuple[int, ...] = ()
    inbound_ports_excluded: tuple[int, ...] = ()
    outbound_all: bool = False
    outbound_cidrs: tuple[Cidr, ...] = ()
    outbound_cidrs_excluded: tuple[Cidr, ...] = ()
    outbound_ports: tuple[int, ...] = ()
    outbound_ports_excluded: tuple[int, ...] = ()
    loopback_cidr: str = "127.0.0.1/32"

    owner_groups_all: bool = True
    owner_groups: tuple[str, ...] = ()
    owner_groups_excluded: tuple[str, ...] = ()
    excluded_interfaces: tuple[str, ...] = ()
    virtual_interfaces: tuple[str, ...] = ()

    redirect_dns: bool = False
    capture_all_dns: bool = False
    drop_invalid: bool = False
    dual_stack: bool = False

    backend: Backend = Backend.AUTO
    network_namespace: str = ""
    cni_mode: bool = False
    dry_run: bool = False
    dry_run_file: str = ""
    skip_rule_apply: bool = False
    cleanup_only: bool = False
    force_apply: bool = False
    reconcile: bool = False
    run_validation: bool = False
    probe_port: int = 15002
    probe_timeout: float = 5.0

    @property
    def captures_inbound(self) -> bool:
        """Whether any inbound port goes to the sidecar; an empty list means none (Istio)."""
        return self.inbound_all or bool(self.inbound_ports)


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules depend on besides the options."""

    ipv6: bool = False
    dns_v4: tuple[str, ...] = ()
    dns_v6: tuple[str, ...] = ()

    def captures_dns(self, options: Options) -> bool:
        """Whether DNS capture has anything to capture: without a resolver it is left out."""
        return options.redirect_dns and (
            options.capture_all_dns or bool(self.dns_v4) or bool(self.dns_v6)
        )
