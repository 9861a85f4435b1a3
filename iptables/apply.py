"""The order of operations: look, decide, change, check; and on any failure, everything back.

`iptables-restore` commits a table at a time, so between two tables a run can fail, or be killed.
Failing, it puts back what it found. Killed, it leaves tables that are each whole, and since every
run starts from what is there, not from what should be, the next one finishes the work.
"""

from __future__ import annotations

from itertools import pairwise

from iptables import host, routes, steps
from iptables.backend import NEWEST_FIRST, ranked
from iptables.backends import Available, Wish, survey
from iptables.errors import Failed
from iptables.execute import Runner
from iptables.explain import CAPABILITY
from iptables.options import Backend, Facts, Options
from iptables.report import Report
from iptables.rules.compose import compose, recognisable
from iptables.run import Run


def program(options: Options, facts: Facts, runner: Runner, report: Report) -> bool:
    """Set the rules, or remove them; whether anything had to be changed.

    Raises `Failed`, with everything as it was before.
    """
    _check_capabilities(options)
    run = Run(options, facts, runner, report)
    try:
        _program(run)
    except BaseException as err:
        if run.undo():
            why = "" if isinstance(err, Failed) else f" ({type(err).__name__})"
            report.warn(f"what this run had done is undone{why}.")
        raise
    return run.changed


def _program(run: Run) -> None:
    options, facts = run.options, run.facts
    rules = () if options.cleanup_only else compose(options, facts)
    wish = Wish(rules, recognisable(options, facts), facts.ipv6)
    available = list(survey(run.runner, wish, NEWEST_FIRST))
    usable = [each for each in available if not each.reason]
    if not usable:
        raise Failed(_nothing_usable(available))
    chosen = None if options.cleanup_only else _set(run, _candidates(options, available))
    # What a run with another backend has left would redirect everything by its own rules.
    for each in usable:
        if each is not chosen and each.look.ours:
            steps.clear(run, wish, each)
    steps.policy_routes(run, () if chosen is None else routes.wanted(options, run.facts))
    if chosen is not None:
        steps.passthrough_address(run)


def _check_capabilities(options: Options) -> None:
    missing = host.missing_capabilities(options.backend is Backend.LEGACY)
    if missing:
        raise Failed(f"Without {' and '.join(missing)} no rules can be set: {CAPABILITY}.")


def _nothing_usable(available: list[Available]) -> str:
    reasons = "; ".join(each.reason.rstrip(".") for each in available)
    return f"No way to set rules here: {reasons}. Install iptables or nftables in this image."


def _candidates(options: Options, available: list[Available]) -> list[Available]:
    """The backend asked for, or all there are, the best first."""
    by_backend = {each.backend: each for each in available}
    if options.backend is Backend.AUTO:
        looks = {each.backend: each.look for each in available if not each.reason}
        return [by_backend[backend] for backend in ranked(looks)]
    asked = by_backend[options.backend]
    if asked.reason:
        reason = asked.reason.rstrip(".")
        raise Failed(f"--backend {asked.backend.value} can't be used: {reason}.")
    return [asked]


def _set(run: Run, candidates: list[Available]) -> Available:
    """Set the rules by the first backend that the kernel takes them from."""
    facts = run.facts
    for candidate, following in pairwise(candidates):
        try:
            steps.set_rules(run, candidate)
        except Failed as err:
            run.undo()
            run.facts, run.changed = facts, False
            run.report.warn(f"{err} Trying {following.backend.value}.")
        else:
            return candidate
    steps.set_rules(run, candidates[-1])
    return candidates[-1]
