"""Texts of settings as `Options`, with every problem collected instead of the first raised. Pure:
which users and groups exist is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from iptables import values
from iptables.arguments import Given
from iptables.options import DEFAULT_PROXY_UID, Backend, Cidr, Options
from iptables.values import BadValue

T = TypeVar("T")

# "None of these groups" is one rule with a match a group, and kernels bound a rule's length.
MOST_OWNER_GROUPS: Final = 64
# Excluded by whoever injects the init container, whatever the pod wants captured.
SIDECAR_PORTS: Final = frozenset({15020, 15021, 15090})
ALL: Final = "*"


class Names(Protocol):
    """The user database: a name's number, or `None`."""

    def user(self, name: str) -> int | None:
        """The uid of a user."""
        ...

    def group(self, name: str) -> int | None:
        """The gid of a group."""
        ...


@dataclass(slots=True)
class Reader:
    """Reads settings one by one and remembers what was wrong."""

    settings: Mapping[str, Given]
    problems: list[str] = field(default_factory=list)

    def complain(self, name: str, message: str) -> None:
        """Note a problem, in one sentence that names the flag or variable."""
        self.problems.append(f"{self.settings[name].where}: {message}.")

    def text(self, name: str) -> str:
        """A setting as it was given."""
        return self.settings[name].text

    def one(self, name: str, convert: Callable[[str], T], fallback: T) -> T:
        """A single value; the fallback only stands in until the problems are reported."""
        try:
            return convert(self.text(name))
        except BadValue as err:
            self.complain(name, str(err))
            return fallback

    def many(self, name: str, convert: Callable[[str], T]) -> tuple[T, ...]:
        """A list; every bad element is a problem of its own."""
        found: list[T] = []
        for item in values.items(self.text(name)):
            try:
                found.append(convert(item))
            except BadValue as err:
                self.complain(name, str(err))
        return tuple(found)

    def switch(self, name: str) -> bool:
        """A boolean."""
        return self.one(name, values.switch, False)

    def all_or_many(self, name: str, convert: Callable[[str], T]) -> tuple[bool, tuple[T, ...]]:
        """`*`, or a list."""
        if self.text(name) == ALL:
            return True, ()
        return False, self.many(name, convert)


def read(settings: Mapping[str, Given], names: Names) -> tuple[Options, list[str]]:
    """Options and the problems with them; with any problem, the options are not to be used."""
    reader = Reader(settings)
    dry_run = reader.switch("dry-run")
    uids, gids = _owners(reader, names, dry_run)
    groups_all, groups = reader.all_or_many("ISTIO_OUTBOUND_OWNER_GROUPS", values.owner)
    inbound_all, inbound = reader.all_or_many("istio-inbound-ports", values.port)
    outbound_all, outbound = reader.all_or_many("istio-service-cidr", values.cidr)
    check_group = _Lookup(reader, names.group, "group", dry_run)
    options = Options(
        proxy_port=reader.one("envoy-port", values.port, 0),
        inbound_port=reader.one("inbound-capture-port", values.port, 0),
        tunnel_port=reader.one("inbound-tunnel-port", values.port, 0),
        proxy_uids=uids,
        proxy_gids=gids,
        tproxy=reader.text("istio-inbound-interception-mode") == "TPROXY",
        tproxy_mark=reader.one("istio-inbound-tproxy-mark", values.mark, 0),
        tproxy_table=reader.one("istio-inbound-tproxy-route-table", values.route_table, 0),
        original_source=reader.switch("original-source"),
        inbound_all=inbound_all,
        inbound_ports=inbound,
        inbound_ports_excluded=reader.many("istio-local-exclude-ports", values.port),
        outbound_all=outbound_all,
        outbound_cidrs=outbound,
        outbound_cidrs_excluded=_excluded_ranges(reader),
        outbound_ports=reader.many("istio-outbound-ports", values.port),
        outbound_ports_excluded=reader.many("istio-local-outbound-ports-exclude", values.port),
        loopback_cidr=reader.one("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", values.loopback_cidr, ""),
        owner_groups_all=groups_all,
        owner_groups=check_group.all("ISTIO_OUTBOUND_OWNER_GROUPS", groups),
        owner_groups_excluded=_excluded_groups(reader, check_group),
        excluded_interfaces=reader.many("istio-exclude-interfaces", values.interface),
        virtual_interfaces=reader.many("kube-virt-interfaces", values.interface),
        redirect_dns=reader.switch("redirect-dns"),
        capture_all_dns=reader.switch("capture-all-dns"),
        drop_invalid=reader.switch("drop-invalid"),
        dual_stack=reader.switch("dual-stack"),
        backend=_backend(reader),
        network_namespace=reader.text("network-namespace"),
        cni_mode=reader.switch("cni-mode"),
        dry_run=dry_run,
        dry_run_file=reader.text("DRY_RUN_FILE_PATH"),
        skip_rule_apply=reader.switch("skip-rule-apply"),
        cleanup_only=reader.switch("cleanup-only"),
        force_apply=reader.switch("force-apply"),
        reconcile=reader.switch("reconcile"),
        run_validation=reader.switch("run-validation"),
        probe_port=reader.one("iptables-probe-port", values.port, 0),
        probe_timeout=reader.one("probe-timeout", values.duration, 0.0),
    )
    _contradictions(reader, options)
    return options, reader.problems


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Names as numbers, which is how the kernel has them and shows them again.

    A dry run keeps names: it may well be made where the pod's users don't exist.
    """

    reader: Reader
    find: Callable[[str], int | None]
    what: str
    dry_run: bool

    def all(self, setting: str, owners: tuple[str, ...]) -> tuple[str, ...]:
        """Owners with names looked up; an unknown name is a problem."""
        if self.dry_run:
            return owners
        return tuple(self._one(setting, owner) for owner in owners)

    def _one(self, setting: str, owner: str) -> str:
        if values.is_id(owner):
            return owner
        found = self.find(owner)
        if found is None:
            self.reader.complain(setting, f"there is no {self.what} {owner!r} on this host")
        return str(found)


def _owners(reader: Reader, names: Names, dry_run: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Uids and gids of the proxy, with Istio's defaults."""
    if reader.text("proxy-uid"):
        lookup = _Lookup(reader, names.user, "user", dry_run)
        users = lookup.all("proxy-uid", _some(reader, "proxy-uid"))
    else:
        found = names.user(reader.text("ENVOY_USER"))
        users = (DEFAULT_PROXY_UID if found is None else str(found),)
    if not reader.text("proxy-gid"):
        return users, users
    lookup = _Lookup(reader, names.group, "group", dry_run)
    return users, lookup.all("proxy-gid", _some(reader, "proxy-gid"))


def _some(reader: Reader, name: str) -> tuple[str, ...]:
    """At least one owner: without any, the proxy's own traffic would go round for ever."""
    if not values.items(reader.text(name)):
        reader.complain(name, f"{reader.text(name)!r} names nobody")
    return reader.many(name, values.owner)


def _excluded_groups(reader: Reader, check: _Lookup) -> tuple[str, ...]:
    name = "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE"
    return check.all(name, reader.many(name, values.owner))


def _excluded_ranges(reader: Reader) -> tuple[Cidr, ...]:
    name = "istio-service-exclude-cidr"
    if reader.text(name) == ALL:
        reader.complain(name, "'*' would exclude everything; leave --istio-service-cidr empty")
        return ()
    return reader.many(name, values.cidr)


def _backend(reader: Reader) -> Backend:
    """Three flags say the same thing; two different answers are a problem."""
    asked: dict[Backend, str] = {}
    text = reader.text("backend")
    if text not in [backend.value for backend in Backend]:
        reader.complain("backend", f"{text!r} is none of auto, nft, legacy and nftables")
    elif text != Backend.AUTO.value:
        asked[Backend(text)] = reader.settings["backend"].where
    forced = reader.text("force-iptables-binary")
    if forced not in ("", "legacy", "nft"):
        reader.complain("force-iptables-binary", f"{forced!r} is neither legacy nor nft")
    elif forced:
        asked.setdefault(Backend(forced), reader.settings["force-iptables-binary"].where)
    if reader.switch("native-nftables"):
        asked.setdefault(Backend.NFTABLES, reader.settings["native-nftables"].where)
    if len(asked) > 1:
        both = " and ".join(asked.values())
        reader.problems.append(f"{both} ask for different backends.")
    return next(iter(asked), Backend.AUTO)


def _contradictions(reader: Reader, options: Options) -> None:
    """What is fine by itself and impossible together."""
    inbound = set(options.inbound_ports) & set(options.inbound_ports_excluded) - SIDECAR_PORTS
    outbound = set(options.outbound_ports) & set(options.outbound_ports_excluded)
    for ports, include, exclude in (
        (inbound, "istio-inbound-ports", "istio-local-exclude-ports"),
        (outbound, "istio-outbound-ports", "istio-local-outbound-ports-exclude"),
    ):
        for port in sorted(ports):
            other = reader.settings[exclude].where
            reader.complain(include, f"port {port} is also excluded, by {other}")
    for name in set(options.virtual_interfaces) & set(options.excluded_interfaces):
        other = reader.settings["istio-exclude-interfaces"].where
        reader.complain("kube-virt-interfaces", f"{name} is also excluded, by {other}")
    if len(options.owner_groups) > MOST_OWNER_GROUPS:
        many = f"{len(options.owner_groups)} groups are more than {MOST_OWNER_GROUPS}"
        reader.complain("ISTIO_OUTBOUND_OWNER_GROUPS", many)
    if options.tproxy and options.tproxy_mark == 1338:
        message = "1338 marks the sidecar's outbound traffic and can't be used"
        reader.complain("istio-inbound-tproxy-mark", message)
