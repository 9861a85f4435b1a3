"""What the demo prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import click

from meshproxy.demo.counts import Count
from meshproxy.demo.figures import OK, Sample, figures, shares
from meshproxy.demo.identities import Attempts, Link, rows
from meshproxy.demo.shop import Pod
from meshproxy.demo.tables import milliseconds, percent, table

Condition = Callable[[], bool]


class Bar(Protocol):
    def update(self, n_steps: int) -> None: ...


def heading(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)


def pods(pods: Sequence[Pod], seconds: float) -> None:
    rows = [
        (pod.name, f"{pod.ip}:{pod.port}" if pod.port else pod.ip, pod.identity) for pod in pods
    ]
    click.echo()
    click.echo(table(("pod", "address", "identity, by its certificate"), rows, texts=3))
    click.echo(f"  All sidecars are ready after {seconds:.1f} s.")


def progress(length: int) -> AbstractContextManager[Bar]:
    """A bar on a terminal; elsewhere a line."""
    return click.progressbar(length=length, label=f"  {length} requests", show_pos=True)


def splits(parts: Iterable[tuple[Mapping[str, int], Sequence[Sample]]]) -> None:
    """The configured split beside the measured one."""
    rows = []
    for configured, samples in parts:
        calls = figures(samples).versions
        wanted, got = shares(configured), shares(calls)
        title = "/".join(str(weight) for weight in configured.values())
        for name, share in wanted.items():
            measured = percent(got.get(name, 0.0))
            rows.append((f"{title}  {name}", percent(share), measured, calls.get(name, 0)))
    heading("Calls from order to inventory")
    click.echo(table(("split", "configured", "measured", "calls"), rows))


def requests(parts: Mapping[str, Sequence[Sample]]) -> None:
    """Status codes and times from end to end, as the load generator saw them."""
    rows = []
    for title, samples in parts.items():
        found = figures(samples)
        other = ", ".join(
            f"{count} x {status or 'no answer'}"
            for status, count in found.statuses.items()
            if status != OK
        )
        times = milliseconds(found.p50), milliseconds(found.p99)
        rows.append((title, found.requests, found.statuses.get(OK, 0), other or "none", *times))
    heading("Requests to order, end to end")
    click.echo(table(("", "requests", "200", "others", "p50", "p99"), rows))


def counted(found: Iterable[Count]) -> None:
    rows = [
        (
            count.what,
            count.expected,
            "-" if count.source is None else count.source,
            count.destination,
            "yes" if count.agrees else "NO",
        )
        for count in found
    ]
    heading("Counted by the sidecars (/stats/prometheus)")
    click.echo(table(("", "answers", "source", "destination", "agree"), rows))


def identities(found: Mapping[Link, int], attempts: Attempts) -> None:
    heading("Who called whom, by certificate (STRICT: mutual TLS or nothing)")
    header = ("caller", "called", "security", "status", "calls")
    click.echo(table(header, rows(found), texts=4))
    click.echo(f"  The visitor called the inventory: {attempts.visitor}.")
    click.echo(
        f"  A call of the inventory without a certificate: {attempts.plaintext or 'answered'}."
    )


def capture(proof: str) -> None:
    heading("How the traffic came to the sidecars")
    click.echo(proof)


def verdict(faults: Sequence[str], requests: int) -> None:
    click.echo()
    if not faults:
        click.secho(f"Passed: {requests} requests, not one failed.", fg="green", bold=True)
    for fault in faults:
        click.secho(f"Failed: {fault}", fg="red", bold=True)


def invitation(file: str, hints: Iterable[str]) -> None:
    heading("Orders go on. Ctrl-C ends the demo and cleans everything up. Meanwhile, elsewhere:")
    click.echo(f"  edit {file}   (and watch the line below)")
    for hint in hints:
        click.echo(f"  {hint}")
    click.echo()


def live(samples: Iterable[Sample]) -> None:
    """One line, written over and over."""
    found = figures(samples)
    got = ", ".join(f"{name} {percent(share)}" for name, share in shares(found.versions).items())
    click.echo(
        f"\r  last 2 s: {found.requests} requests, {found.failed} failed; {got or 'no calls'}; "
        f"p50 {milliseconds(found.p50)}\x1b[K",
        nl=False,
    )
