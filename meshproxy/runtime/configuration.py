"""The configuration's life in the supervisor: read, translate, offer, keep the last good one."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from meshproxy.aio.spawn import spawn
from meshproxy.export.log_writer import SinkError
from meshproxy.listen.sockets import BindError
from meshproxy.model.origin import Origin
from meshproxy.model.secret import Secret, SecretRef
from meshproxy.model.snapshot import Snapshot
from meshproxy.show.shape import origin_json
from meshproxy.sources.files import Reading, read
from meshproxy.sources.watch import Watcher
from meshproxy.translate import Options, Problem, Severity, Translation, Translator

_log = logging.getLogger(__name__)

_LEVELS = {
    Severity.ERROR: logging.ERROR,
    Severity.WARNING: logging.WARNING,
    Severity.NOTE: logging.DEBUG,
}

# A worker that wakes on the processor where a translation runs would wait for the end of its slice,
# some milliseconds, however low its priority is: so it offers the processor now and then.
_BREATHE: Final[Callable[[], object]] = getattr(os, "sched_yield", lambda: None)

Apply = Callable[[Snapshot, Mapping[SecretRef, Secret]], None]


class Configuration:
    """Files at ``path`` as snapshots. A change is taken whole or not at all."""

    def __init__(self, path: str, options: Options) -> None:
        self._path = path
        self._options = options
        self._translator = Translator(options, _BREATHE)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._apply: Apply
        self._watcher: Watcher | None = None
        self._reloading = False
        self._again = False
        self._told: frozenset[Problem] = frozenset()
        self._who = ""
        self._objects = 0
        self.accepted_at = 0.0
        self.results = {"accepted": 0, "rejected": 0}
        self.rejected: tuple[str, ...] = ()  # why the newest files are not what runs
        self.warnings: tuple[str, ...] = ()
        self.unread: tuple[Origin, ...] = ()

    def load(self) -> tuple[Reading, Translation | None, tuple[Problem, ...]]:
        """Read and translate; the problems are those of both. Blocks."""
        reading = read(self._path, _BREATHE)
        if any(problem.severity is Severity.ERROR for problem in reading.problems):
            return reading, None, reading.problems
        translation = self._translator.run(reading.texts)
        return reading, translation, (*reading.problems, *translation.problems)

    def watch(
        self,
        loop: asyncio.AbstractEventLoop,
        first: Reading,
        apply: Apply,
    ) -> None:
        """From now on offer changed files to ``apply``, which raises what can't be done."""
        self._loop = loop
        self._apply = apply
        self._watcher = Watcher(self._path, loop, self.reload, first.fingerprint)
        self._watcher.start()

    def accept(self, translation: Translation, problems: tuple[Problem, ...], now: float) -> None:
        """This is what runs; ``problems`` are all that there are in it."""
        self.results["accepted"] += 1
        self.accepted_at = now
        self.rejected = ()
        self.warnings = tuple(str(p) for p in problems if p.severity is Severity.WARNING)
        self.unread = translation.unread
        self._objects = translation.objects
        if translation.who != self._who:
            self._who = translation.who
            _log.info("this is %s", self._who)
        self.tell(problems)
        self._told = frozenset(problems)

    def tell(self, problems: tuple[Problem, ...]) -> None:
        """Log what is new: what was said of the configuration that runs is not said again."""
        for problem in problems:
            if problem not in self._told:
                _log.log(_LEVELS[problem.severity], "%s", problem)

    def have_identity(self) -> None:
        """The workload has an identity now, which changes what calls look like."""
        if not self._options.identity:
            self._options = replace(self._options, identity=True)
            self._translator = Translator(self._options, _BREATHE)
            self.reload()

    def reload(self) -> None:
        """Read again, in a thread: parsing must not hold up scrapes and health checks."""
        if self._loop is None:
            return
        if self._reloading:
            self._again = True
            return
        self._reloading = True
        spawn(self._loop, self._reload(), "reload")

    async def _reload(self) -> None:
        loop = self._loop
        assert loop is not None
        try:
            reading, translation, problems = await loop.run_in_executor(None, self.load)
            if self._watcher is not None:
                self._watcher.rebase(reading.fingerprint)
            self._take(translation, problems, loop.time())
        finally:
            self._reloading = False
            if self._again:
                self._again = False
                self.reload()

    def _take(
        self, translation: Translation | None, problems: tuple[Problem, ...], now: float
    ) -> None:
        if translation is None or translation.snapshot is None:
            self.tell(problems)
            self._reject([str(p) for p in problems if p.severity is Severity.ERROR])
            return
        if self._objects and not translation.objects:
            # Most likely somebody is still writing: all routes and plain ports would be gone.
            text = f"{self._path} holds no object any more: start again to run without any"
            _log.error("%s", text)
            self._reject([text])
            return
        try:
            self._apply(translation.snapshot, translation.secrets)
        except (BindError, SinkError) as error:
            _log.error("%s", error)
            self._reject([str(error)])
            return
        self.accept(translation, problems, now)
        count = "1 object" if self._objects == 1 else f"{self._objects} objects"
        _log.info("configuration %d taken: %s", self.results["accepted"], count)

    def _reject(self, reasons: list[str]) -> None:
        self.results["rejected"] += 1
        self.rejected = tuple(reasons)
        count = "1 error" if len(reasons) == 1 else f"{len(reasons)} errors"
        _log.error("the new configuration is not used, the old one stays: %s", count)

    def status(self) -> dict[str, Any]:
        """For ``/config_dump``."""
        return {
            "path": self._path,
            "reloads": dict(self.results),
            "rejected": list(self.rejected),
            "warnings": list(self.warnings),
            "unhandled": [origin_json(origin) for origin in self.unread],
        }
