"""The demo, told in order. Everything that is printed is printed from here and `report`.

1. Clean up after an earlier run that was killed.
2. Make the pods, with redirect rules where the machine allows it, and a certificate for each; start
   apps and sidecars.
3. Send orders; each makes the order front call the inventory, which is split as the YAML says.
4. Change the YAML while orders go on, and look at the new split.
5. Let a pod call that nobody has allowed to, and call one without a certificate: both are refused.
6. Compare what everybody has counted, and say whether all of it was as it should be.
7. For someone at a terminal: go on until Ctrl-C, so that the YAML can be changed by hand.
"""

from __future__ import annotations

import json
import os
import sys

import click

from meshproxy.base.clock import SystemClock
from meshproxy.demo import report
from meshproxy.demo.counts import Count, counts
from meshproxy.demo.errors import DemoError, Unavailable
from meshproxy.demo.figures import Sample
from meshproxy.demo.files import publish
from meshproxy.demo.identities import Attempts, identity_faults, links
from meshproxy.demo.interrupt import Interrupt, Interrupted
from meshproxy.demo.load import Load
from meshproxy.demo.plain import Plain
from meshproxy.demo.processes import Crew
from meshproxy.demo.redirected import Redirected
from meshproxy.demo.run import Run, dead_runs, new_run
from meshproxy.demo.scrape import get, scrape
from meshproxy.demo.split import reweighted, shown, weights
from meshproxy.demo.stage import SPLIT_FILE, Calls, Stage, app_argv, import_from_checkout
from meshproxy.demo.system import last_line, run
from meshproxy.demo.verdict import disagreements, failures, split_faults

_FIRST, _SECOND = 1500, 2000  # requests before and after the change
_NEW_SPLIT = {"v1": 50, "v2": 50}
_GENERATION = "meshproxy_config_generation"
_READY, _TAKEN, _SETTLED = 60.0, 10.0, 5.0  # longest waits in seconds
_ADOPTED = 0.2  # seconds from the supervisor's word until every worker routes by the new plan
_ENOUGH = 20  # failed requests; more would say no more
_TURN = 30.0  # longest wait for an answer before the demo says that traffic stands still


def run_demo(mode: str | None, stay: bool) -> int:
    """Show everything; the exit status. ``mode`` None: redirected where that is possible.

    ``stay``: go on after the verdict until interrupted.
    """
    if sys.platform != "linux":
        click.echo("The demo needs Linux: that is where a sidecar runs.", err=True)
        return 1
    import_from_checkout()
    with Interrupt() as interrupt:
        for earlier in dead_runs():
            click.echo("Cleaning up after an earlier run that was killed.")
            with interrupt.held_off():
                earlier.clear()
        run = new_run()
        try:
            stage = _make_stage(run, mode, interrupt)
            with stage.around():
                return _Demo(run, stage, interrupt).play(stay)
        except Interrupted:
            click.echo("\nInterrupted; cleaning up.")
            return 130
        except DemoError as error:
            click.echo(f"\nThe demo failed: {error}", err=True)
            return 1
        finally:
            with interrupt.held_off():
                run.clear()


def _make_stage(run: Run, mode: str | None, interrupt: Interrupt) -> Stage:
    if mode != "NONE":
        try:
            return Redirected(run)
        except Unavailable as reason:
            interrupt.check()  # the same Ctrl-C may have ended a program that we had started
            if mode is not None:
                raise DemoError(f"{str(reason)[0].upper()}{str(reason)[1:]}.") from None
            run.start_over()
            click.echo(f"Without redirect rules (captureMode: NONE), because {reason}.")
    return Plain(run)


class _Demo:
    def __init__(self, run: Run, stage: Stage, interrupt: Interrupt) -> None:
        self._run = run
        self._stage = stage
        self._shop = stage.shop
        self._interrupt = interrupt
        self._crew = Crew(run)
        self._file = run.folder / "config" / SPLIT_FILE
        order = self._shop.pod("order")
        self._load = Load((order.ip, order.port))
        self._order_metrics = stage.metrics(order)

    def play(self, stay: bool) -> int:
        try:
            self._start()
            faults = self._show()
            report.verdict(faults, len(self._load.samples))
            if stay:
                self._stay()
            return 1 if faults else 0
        except OSError as error:
            raise DemoError(self._crew.fallen() or f"{error}.") from error
        finally:
            self._load.stop()
            self._crew.stop()

    def _start(self) -> None:
        click.echo(self._stage.describe())
        begin = SystemClock.monotonic()
        for pod in self._shop.pods:
            self._interrupt.check()
            if pod in self._shop.serving:
                app = self._stage.app(pod, app_argv(self._run, pod))
                self._crew.start(f"{pod.name}-app", app, self._shop.environment(pod))
            self._crew.start(pod.name, self._stage.sidecar(pod), {})
        self._until(self._ready, _READY, "the sidecars are not ready")
        report.pods(self._shop.pods, SystemClock.monotonic() - begin)

    def _ready(self) -> bool:
        try:
            return all(
                get(self._stage.status(pod), "/healthz/ready")[0] == 200 for pod in self._shop.pods
            )
        except OSError:
            return False

    def _show(self) -> list[str]:
        """Both splits, the counts, and what is wrong with them."""
        before = weights(self._file.read_text(encoding="utf-8"))
        report.heading(f"{shown(before)} between inventory v1 and v2")
        started = SystemClock.monotonic()
        self._load.start()
        self._orders(_FIRST, started)
        edited, border = self._change()
        report.heading(f"{shown(_NEW_SPLIT)}, while orders go on")
        click.echo(f"  {SPLIT_FILE} edited; in force after {border - edited:.2f} s.")
        self._orders(_SECOND, border)
        self._load.stop()
        parts = {
            shown(before): self._load.since(started, edited),
            "while it changed": self._load.since(edited, border),
            shown(_NEW_SPLIT): self._load.since(border),
        }
        return self._judge(before, parts)

    def _judge(self, before: dict[str, int], parts: dict[str, list[Sample]]) -> list[str]:
        first, _, second = parts.values()
        report.splits([(before, first), (_NEW_SPLIT, second)])
        report.requests(parts)
        counted = self._settled_counts()
        report.counted(counted)
        attempts = self._uninvited()
        known = links(scrape(self._stage.metrics(pod)) for pod in self._shop.serving)
        report.identities(known, attempts)
        report.capture(self._stage.proof(self._ask_once_more()))
        return [
            *failures(self._load.samples),
            *split_faults(before, first),
            *split_faults(_NEW_SPLIT, second),
            *disagreements(counted),
            *identity_faults(self._shop, known, attempts),
        ]

    def _orders(self, wanted: int, since: float) -> None:
        """Wait until so many requests that were begun after a time have ended."""
        with report.progress(wanted) as bar:
            done = 0
            while done < wanted:
                samples = self._load.since(since)
                if sum(sample.failed for sample in samples) > _ENOUGH:
                    raise DemoError(failures(samples)[0])
                now = min(len(samples), wanted)
                if now > done:
                    bar.update(now - done)
                elif SystemClock.monotonic() - self._load.latest(since) > _TURN:
                    raise DemoError(f"no answer to an order for {_TURN:.0f} s.")
                done = now
                self._breathe(0.1)

    def _change(self) -> tuple[float, float]:
        """Edit the file; when that was, and when the new split was in force for sure."""
        old = scrape(self._order_metrics).total(_GENERATION)
        text = reweighted(self._file.read_text(encoding="utf-8"), _NEW_SPLIT)
        edited = SystemClock.monotonic()
        publish(self._file, text)
        self._until(
            lambda: scrape(self._order_metrics).total(_GENERATION) > old,
            _TAKEN,
            f"the changed {SPLIT_FILE} was not taken",
        )
        self._breathe(_ADOPTED)
        return edited, SystemClock.monotonic()

    def _settled_counts(self) -> list[Count]:
        """What was counted, once all agree; or what it is after a while."""
        found: list[Count] = []

        def agree() -> bool:
            metrics = {pod.name: scrape(self._stage.metrics(pod)) for pod in self._shop.pods}
            found[:] = counts(self._load.samples, self._shop.pods, metrics)
            return all(count.agrees for count in found)

        self._interrupt.wait(agree, _SETTLED)
        return found

    def _uninvited(self) -> Attempts:
        """Calls of the inventory by somebody who may not, and without any certificate."""
        visitor, inventory = self._shop.pod("visitor"), self._shop.pod("inventory-v1")
        host, port = self._stage.door(visitor, self._shop.service("inventory"))
        done = run(self._stage.app(visitor, [*app_argv(self._run, visitor), host, str(port)]))
        plaintext = ""
        try:
            get((inventory.ip, inventory.port), "/items/apple")
        except OSError as error:
            plaintext = os.strerror(error.errno) if error.errno else str(error)
        return Attempts(done.stdout.strip() or last_line(done), plaintext.lower())

    def _ask_once_more(self) -> Calls:
        """One order of many items, to see who answers whom."""
        order = self._shop.pod("order")
        status, body = get((order.ip, order.port), f"/order?items={','.join(['apple'] * 24)}")
        if status != 200:
            raise DemoError(f"a last order was answered with {status} {body}")
        found: Calls = json.loads(body)["items"]
        return found

    def _stay(self) -> None:
        """Traffic goes on at an easy pace; whoever watches may change the YAML."""
        log = f"tail -f {self._crew.output('order')}   (order's access log)"
        report.invitation(str(self._file), [log, *self._stage.hints()])
        order = self._shop.pod("order")
        self._load = Load((order.ip, order.port))
        self._load.pause = 0.02
        self._load.start()
        try:
            while True:
                self._breathe(1.0)
                report.live(self._load.since(SystemClock.monotonic() - 2.0))
        except Interrupted:
            click.echo()

    def _breathe(self, seconds: float) -> None:
        """Let time pass, and notice when a program has ended."""
        self._interrupt.sleep(seconds)
        if fallen := self._crew.fallen():
            raise DemoError(fallen)

    def _until(self, condition: report.Condition, patience: float, otherwise: str) -> None:
        def happened() -> bool:
            if fallen := self._crew.fallen():
                raise DemoError(fallen)
            return condition()

        if not self._interrupt.wait(happened, patience):
            raise DemoError(f"{otherwise} after {patience:.0f} s.")
