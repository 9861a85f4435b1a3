"""Every flag: its name, its variables, its default and what it does. A table, and nothing else.

Names, variables and defaults are `istio-iptables`' own, so that an init container made for it runs
this program unchanged. What only this program has stands last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Flag:
    """One setting. Of several variables the last that is set counts; a flag beats them all."""

    name: str
    short: str
    default: str
    help: str
    also: str = ""  # a second variable, which beats the first
    switch: bool = False
    variable: str | None = None  # None: made from the name; empty: there is none

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that set it, the strongest last."""
        own = self.name.upper().replace("-", "_") if self.variable is None else self.variable
        return tuple(name for name in (own, self.also) if name)


def _switch(name: str, help_text: str, short: str = "", also: str = "") -> Flag:
    return Flag(name, short, "false", help_text, also, switch=True)


FLAGS: Final[tuple[Flag, ...]] = (
    Flag("envoy-port", "p", "15001", "port that captured outbound TCP goes to", variable=""),
    Flag("inbound-capture-port", "z", "15006", "port that captured inbound TCP goes to"),
    Flag("inbound-tunnel-port", "e", "15008", "tunnel port; inbound to it is never captured"),
    Flag(
        "proxy-uid", "u", "",
        "users whose traffic is not captured, comma-separated (default: the uid of the user that "
        "$ENVOY_USER names, or of istio-proxy, else 1337)",
    ),
    Flag("proxy-gid", "g", "", "the same for groups (default: as --proxy-uid)"),
    Flag(
        "istio-inbound-interception-mode", "m", "",
        "REDIRECT, or TPROXY, which keeps the client's address",
    ),
    Flag(
        "istio-inbound-ports", "b", "",
        "inbound ports to capture, comma-separated; * is all, nothing is none",
    ),
    Flag(
        "istio-local-exclude-ports", "d", "",
        "inbound ports not to capture where --istio-inbound-ports is *",
    ),
    Flag(
        "istio-exclude-interfaces", "c", "",
        "interfaces without any capture, in either direction",
    ),
    Flag(
        "istio-service-cidr", "i", "",
        "destination ranges to capture outbound; * is all, nothing is none",
    ),
    Flag("istio-service-exclude-cidr", "x", "", "destination ranges not to capture outbound"),
    Flag(
        "istio-outbound-ports", "q", "",
        "outbound ports to capture whatever the destination's address",
    ),
    Flag(
        "istio-local-outbound-ports-exclude", "o", "",
        "outbound ports never to capture, TCP and UDP",
    ),
    Flag(
        "kube-virt-interfaces", "k", "",
        "interfaces whose incoming traffic is treated as outbound (guests of this pod)",
    ),
    Flag("istio-inbound-tproxy-mark", "t", "1337", "packet mark in TPROXY mode"),
    Flag(
        "istio-inbound-tproxy-route-table", "r", "133",
        "routing table for marked packets in TPROXY mode",
    ),
    _switch("dry-run", "print the rules and run nothing", "n"),
    Flag("iptables-probe-port", "", "15002", "port that the self-test connects to"),
    Flag("probe-timeout", "", "5s", "longest time for the self-test"),
    _switch("skip-rule-apply", "program nothing, neither rules nor routes"),
    _switch(
        "run-validation",
        "self-test through the rules, to be run as the proxy's user; exit 126 if it fails",
    ),
    _switch("redirect-dns", "capture DNS, UDP and TCP port 53", also="ISTIO_META_DNS_CAPTURE"),
    _switch("drop-invalid", "drop packets that conntrack calls INVALID", also="INVALID_DROP"),
    _switch(
        "dual-stack",
        "expect IPv4 and IPv6; both are set up anyway wherever the host has them",
        also="ISTIO_DUAL_STACK",
    ),
    _switch("capture-all-dns", "with --redirect-dns: every resolver, not the listed ones alone"),
    Flag("network-namespace", "", "", "path of the network namespace to work in"),
    _switch("cni-mode", "run for a node agent: the lock is the pod's, not the node's"),
    _switch(
        "reconcile",
        "replace rules of ours that differ (always done, in one commit a table)",
    ),
    _switch("cleanup-only", "remove our rules and chains, add nothing"),
    _switch("force-apply", "program the rules even if they are in place"),
    _switch("native-nftables", "the same as --backend nftables"),
    Flag(
        "force-iptables-binary", "", "",
        "legacy or nft: the same as --backend with that value",
    ),
    Flag(
        "backend", "", "auto",
        "auto, nft (iptables-nft), legacy (iptables-legacy) or nftables (one nft transaction)",
        variable="MESHPROXY_IPTABLES_BACKEND",
    ),
    Flag(
        "original-source", "", "false",
        "with TPROXY: the proxy, run as one of --proxy-uid, dials the app from the client's "
        "address; let that traffic pass",
        switch=True, variable="MESHPROXY_ORIGINAL_SOURCE",
    ),
)  # fmt: skip

# Settings that only a variable sets: name, default, meaning.
VARIABLES: Final[Mapping[str, tuple[str, str]]] = {
    "ISTIO_OUTBOUND_OWNER_GROUPS": ("*", "groups whose outbound traffic is captured, at most 64"),
    "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": (
        "",
        "groups whose outbound traffic is not captured, where the former is *",
    ),
    "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": ("127.0.0.1/32", "range of the pod's own loopback"),
    "ENVOY_USER": ("istio-proxy", "user whose uid is the default of --proxy-uid"),
    "DRY_RUN_FILE_PATH": ("", "with --dry-run: also write the rules to this file"),
}

# Of the logging library that istio-iptables shares with its siblings; taken and not used.
LOGGING: Final = (
    "log_output_level",
    "log_caller",
    "log_stacktrace_level",
    "log_target",
    "log_rotate",
    "log_rotate_max_age",
    "log_rotate_max_backups",
    "log_rotate_max_size",
)
LOGGING_SWITCHES: Final = ("log_as_json",)
