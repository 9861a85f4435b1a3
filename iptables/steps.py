"""The steps of a run, each noted so that it can be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from iptables import host, netlink, routes
from iptables.backends import Available, Wish, survey
from iptables.errors import Failed, Unsupported
from iptables.routes import PolicyRoute
from iptables.ruleset import Ruleset
from iptables.run import Run


def set_rules(run: Run, chosen: Available) -> None:
    """Set the rules by one backend, in the families that it and this host have."""
    if not run.facts.ipv6:
        run.report.warn("no IPv6 address on this host: only IPv4 is captured.")
    elif chosen.without_ipv6:
        run.without_ipv6(f"this host has IPv6, but {chosen.without_ipv6}")
    for ruleset, look in chosen.rulesets:
        if look.differences or run.options.force_apply:
            _set(run, ruleset, look.ours)
    _name_strangers(run, chosen)


def _set(run: Run, ruleset: Ruleset, existed: bool) -> None:
    """Set one ruleset. IPv6's may turn out not to exist, and is then left out."""
    run.before(ruleset.name, ruleset.remember())
    try:
        _put(ruleset)
    except Unsupported as err:
        if not ruleset.optional:
            raise
        run.undo(steps=1)
        run.without_ipv6(str(err))
        return
    run.replaced |= existed
    run.done(f"{ruleset.name}: rules {'replaced' if existed else 'set'}.")
    _check(run, ruleset)


def _put(ruleset: Ruleset) -> None:
    """Once more after a failure: another program may have changed the tables meanwhile."""
    try:
        ruleset.put()
    except Unsupported:
        raise
    except Failed:
        if ruleset.look().differences:
            ruleset.put()


def _check(run: Run, ruleset: Ruleset) -> None:
    """Read back what was set.

    A rule that is merely spelled in an unknown way is no reason to stop a pod; a missing one is.
    """
    look = ruleset.look()
    phrases = "; ".join(look.differences)
    if look.incomplete:
        raise Failed(f"{ruleset.name} took the rules, and they are not there: {phrases}.")
    if look.differences:
        run.report.warn(f"{ruleset.name} shows rules otherwise than they were set: {phrases}.")


def clear(run: Run, wish: Wish, holder: Available) -> None:
    """Remove what is ours from a backend."""
    for cleared in survey(run.runner, wish.without(), (holder.backend,)):
        for ruleset, look in cleared.rulesets:
            if look.ours:
                _clear(run, ruleset)
    _name_strangers(run, holder)


def _clear(run: Run, ruleset: Ruleset) -> None:
    run.before(ruleset.name, ruleset.remember())
    _put(ruleset)
    if ruleset.look().ours:
        raise Failed(f"{ruleset.name} took the removal, and some rules are still there.")
    run.done(f"{ruleset.name}: rules removed.")


def _name_strangers(run: Run, holder: Available) -> None:
    for interface in holder.look.strangers:
        run.report.warn(
            f"table nat exempts interface {interface} in both directions, and these flags don't "
            "name it: left alone. If an earlier run set that, pass it with -c and clean up."
        )


def policy_routes(run: Run, wanted: Sequence[PolicyRoute]) -> None:
    """TPROXY's policy routes; where they are not wanted, away with those of an earlier run."""
    if not wanted and not run.replaced and not run.options.cleanup_only:
        return
    links = netlink.links(run.runner)
    does, undoes = (netlink.ADD, netlink.DELETE) if wanted else (netlink.DELETE, netlink.ADD)
    for route in wanted or routes.ours(run.options):
        for change in (links.rule, links.route):
            if change(does, route):
                run.before("policy routes", partial(change, undoes, route))
                run.changed = True


def passthrough_address(run: Run) -> None:
    """The address by which the sidecar's traffic to the app is known; IPv4 has it anyway."""
    if run.facts.ipv6 and not host.has_address(routes.PASSTHROUGH_ADDRESS, "lo"):
        run.changed |= netlink.links(run.runner).address()
