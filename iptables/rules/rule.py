"""The words that every rule is made of, before any program's spelling of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class Family(Enum):
    """An address family; a rule says for which it is meant."""

    V4 = "v4"
    V6 = "v6"


V4_ONLY: Final = frozenset({Family.V4})
V6_ONLY: Final = frozenset({Family.V6})
BOTH: Final = frozenset({Family.V4, Family.V6})


class Table(StrEnum):
    """The tables that hold our rules, in the order in which a packet meets them."""

    RAW = "raw"
    MANGLE = "mangle"
    NAT = "nat"


class Chain(StrEnum):
    """The built-in chains we hook into, and our own."""

    PREROUTING = "PREROUTING"
    OUTPUT = "OUTPUT"
    INBOUND = "ISTIO_INBOUND"
    REDIRECT = "ISTIO_REDIRECT"
    IN_REDIRECT = "ISTIO_IN_REDIRECT"
    OUR_OUTPUT = "ISTIO_OUTPUT"
    OUTPUT_DNS = "ISTIO_OUTPUT_DNS"
    DIVERT = "ISTIO_DIVERT"
    TPROXY = "ISTIO_TPROXY"
    DROP = "ISTIO_DROP"

    @property
    def built_in(self) -> bool:
        """Whether the kernel makes the chain, so that we only add to it."""
        return self in (Chain.PREROUTING, Chain.OUTPUT)


OUR_CHAINS: Final = frozenset(chain.value for chain in Chain if not chain.built_in)


class Field(StrEnum):
    """What of a packet a rule looks at."""

    IN = "in-interface"
    OUT = "out-interface"
    SOURCE = "source"
    DESTINATION = "destination"
    PROTOCOL = "protocol"
    TO_PORT = "destination-port"
    FROM_PORT = "source-port"
    TO_PORTS = "destination-ports"
    UID = "owner-uid"
    GID = "owner-gid"
    MARK = "packet-mark"
    CONNECTION_MARK = "connection-mark"
    STATE = "connection-state"


@dataclass(frozen=True, slots=True)
class Match:
    """One condition; all conditions of a rule must hold."""

    field: Field
    value: str
    negated: bool = False


class Action(Enum):
    """What happens to a packet that matches."""

    RETURN = "return"
    ACCEPT = "accept"
    DROP = "drop"
    JUMP = "jump"
    REDIRECT = "redirect"
    TPROXY = "tproxy"
    SET_MARK = "set-mark"
    SAVE_MARK = "save-mark"
    RESTORE_MARK = "restore-mark"
    ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Target:
    """An action with what it needs: a chain, a port, a mark or a conntrack zone."""

    action: Action
    value: str = ""
    mark: str = ""  # TPROXY alone: the mark beside the port


RETURN: Final = Target(Action.RETURN)
ACCEPT: Final = Target(Action.ACCEPT)
DROP: Final = Target(Action.DROP)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `at` counts from 1 and inserts there; without it the rule is appended."""

    table: Table
    chain: Chain
    matches: tuple[Match, ...]
    target: Target
    families: frozenset[Family] = BOTH
    at: int | None = None


def jump(chain: Chain) -> Target:
    """Go on in another of our chains."""
    return Target(Action.JUMP, chain)


def redirect(port: int) -> Target:
    """Change the destination to this port of the host itself."""
    return Target(Action.REDIRECT, str(port))


def coming_in(interface: str) -> Match:
    """Packets that arrived on an interface."""
    return Match(Field.IN, interface)


def going_out(interface: str) -> Match:
    """Packets that leave by an interface."""
    return Match(Field.OUT, interface)


def to(cidr: str) -> Match:
    """Packets to an address range."""
    return Match(Field.DESTINATION, cidr)


def not_to(cidr: str) -> Match:
    """Packets to anywhere but an address range."""
    return Match(Field.DESTINATION, cidr, negated=True)


def from_(cidr: str) -> Match:
    """Packets from an address range."""
    return Match(Field.SOURCE, cidr)


def to_port(port: int | str) -> Match:
    """Packets to a port; the protocol is a match of its own, before it."""
    return Match(Field.TO_PORT, str(port))


TCP: Final = Match(Field.PROTOCOL, "tcp")
UDP: Final = Match(Field.PROTOCOL, "udp")
ON_LOOPBACK: Final = going_out("lo")
