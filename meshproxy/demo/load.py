"""The load generator: a handful of callers outside the mesh, each with one kept connection."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable

from meshproxy.base.clock import SystemClock
from meshproxy.demo.figures import OK, Sample

CALLERS = 4
ITEMS = ("apple", "pear", "plum", "fig")
_ORDER = f"/order?items={','.join(ITEMS)}"
_RECEIPT_EACH = 20  # one request in so many asks the TCP echo for a receipt
_TIMEOUT = 10.0


class Load:
    """Calls the order front from `start` to `stop`. ``pause``: seconds between two of a caller."""

    def __init__(self, address: tuple[str, int], callers: int = CALLERS) -> None:
        self.samples: list[Sample] = []  # in the order of their ends; only ever appended to
        self.pause = 0.0
        self._address = address
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._call, args=(number,), name=f"caller {number}", daemon=True
            )
            for number in range(callers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every caller finish its request."""
        self._ending.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def since(self, begin: float, end: float = float("inf")) -> list[Sample]:
        """Samples of requests that began in this time."""
        return [sample for sample in self.samples if begin <= sample.started < end]

    def latest(self, otherwise: float) -> float:
        """When the newest sample's request was begun."""
        return self.samples[-1].started if self.samples else otherwise

    def _call(self, number: int) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=_TIMEOUT)
        serial = number  # so that callers do not all ask for their receipts at once
        while not self._ending.is_set():
            serial += 1
            if serial % _RECEIPT_EACH:
                self.samples.append(_ask(connection, _ORDER, _versions))
            else:
                text = f"receipt-{number}-{serial}"
                self.samples.append(_ask(connection, f"/receipt?text={text}", _none, len(text)))
            if self.pause:
                self._ending.wait(self.pause)
        connection.close()


def _ask(
    connection: http.client.HTTPConnection,
    path: str,
    versions: Callable[[bytes], tuple[str, ...]],
    receipt: int = 0,
) -> Sample:
    started = SystemClock.monotonic()
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        seconds = SystemClock.monotonic() - started
        return Sample(started, seconds, 0, error=f"{type(error).__name__}: {error}")
    seconds = SystemClock.monotonic() - started
    if answer.status != OK:
        said = body.decode("utf-8", "replace").strip()
        return Sample(started, seconds, answer.status, error=f"status {answer.status}, {said}")
    return Sample(started, seconds, OK, versions(body), receipt=receipt)


def _versions(body: bytes) -> tuple[str, ...]:
    """Which version of the inventory answered for each item."""
    return tuple(item["version"] for item in json.loads(body)["items"])


def _none(body: bytes) -> tuple[str, ...]:
    return ()
