"""The policy routes that TPROXY needs. Pure.

A marked packet must be delivered on this host whatever its destination is: a rule sends the mark to
a routing table of its own, which holds one route, "everything is local". Each family has its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from iptables.options import Facts, Options
from iptables.rules.outbound import PASSTHROUGH_V6
from iptables.rules.rule import Family

# Just before the kernel's rule for its main table (32766), as the kernel itself would choose.
PRIORITY: Final = 32765
# 127.0.0.0/8 is on `lo` as it is; of IPv6 only ::1.
PASSTHROUGH_ADDRESS: Final = PASSTHROUGH_V6.partition("/")[0]


@dataclass(frozen=True, slots=True)
class PolicyRoute:
    """`fwmark MARK lookup TABLE`, and `local default dev lo` in that table."""

    family: Family
    mark: int
    table: int

    @property
    def everywhere(self) -> str:
        """The range of all addresses of the family."""
        return "0.0.0.0/0" if self.family is Family.V4 else "::/0"


def wanted(options: Options, facts: Facts) -> tuple[PolicyRoute, ...]:
    """What must be there: nothing, unless inbound traffic is captured by TPROXY."""
    if not (options.tproxy and options.captures_inbound):
        return ()
    return ours(options)[: 2 if facts.ipv6 else 1]


def ours(options: Options) -> tuple[PolicyRoute, ...]:
    """What could be there from a run with the same mark and table."""
    return tuple(
        PolicyRoute(family, options.tproxy_mark, options.tproxy_table) for family in Family
    )
