"""The sidecar's own log, on stderr: text for people or JSON for collectors."""

from __future__ import annotations

import json
import logging
import time

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

# Rooms that have something to say; each logs as ``meshproxy.ROOM``.
LOGGERS = ("admin", "aio", "app", "export", "listen", "runtime", "serve")
_PROGRAM = "meshproxy"


class _Text(logging.Formatter):
    converter = time.gmtime  # type: ignore[assignment]

    def __init__(self, role: str) -> None:
        super().__init__(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {role}: %(message)s", "%Y-%m-%dT%H:%M:%S"
        )


class _Json(logging.Formatter):
    converter = time.gmtime  # type: ignore[assignment]

    def __init__(self, role: str) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": f"{self.formatTime(record, self.datefmt)}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "role": self._role,
            "scope": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_level(name: str, level: str) -> None:
    """Say from what level on one of `LOGGERS` is heard; "" is all of them."""
    if name:
        logging.getLogger(f"{_PROGRAM}.{name}").setLevel(LEVELS[level])
        return
    logging.getLogger().setLevel(LEVELS[level])
    for each in LOGGERS:
        logging.getLogger(f"{_PROGRAM}.{each}").setLevel(logging.NOTSET)


def levels() -> dict[str, str]:
    """What each logger is heard from."""
    names = {number: name for name, number in LEVELS.items()}
    return {
        name: names.get(logging.getLogger(f"{_PROGRAM}.{name}").getEffectiveLevel(), "info")
        for name in LOGGERS
    }


def setup_logging(level: str, style: str, role: str) -> None:
    """Send everything to stderr; ``role`` says which process is talking."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json(role) if style == "json" else _Text(role))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
