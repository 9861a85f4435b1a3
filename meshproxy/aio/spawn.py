"""The one way to start a task: it has a name, is kept alive, and its failure is never silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)
_running: set[asyncio.Task[Any]] = set()


def spawn(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], name: str
) -> asyncio.Task[Any]:
    """Run ``work`` as a task of ``loop``; an exception nobody awaits is logged with the name."""
    task = loop.create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task %s failed", task.get_name(), exc_info=error)
