"""Saturation over HTTP/2: nghttp2's h2load keeps each of its streams busy."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from benchmarks.load.frames import message
from benchmarks.load.request import HEADERS, HOST, PATHS
from benchmarks.load.result import LoadError, LoadResult
from benchmarks.machine.cpus import pinned
from benchmarks.report.stats import percentile

CONNECTIONS = STREAMS = 8
_QUESTION = message(b"." * 64)
_CALL = (
    ("content-type", "application/grpc"),
    ("te", "trailers"),
    ("grpc-timeout", "10S"),
    ("grpc-accept-encoding", "identity,deflate,gzip"),
    ("user-agent", "grpc-go/1.85.0"),
)
_MANY = 7  # of the usual headers, so that a call has as many as any request


class H2load:
    """``grpc``: unary calls instead of GETs; they go to an app that answers as gRPC's do."""

    def __init__(self, path: str, folder: Path, cpus: tuple[int, ...], grpc: bool) -> None:
        self._path = path
        self._cpus = cpus
        self._folder = folder
        self._grpc = grpc

    def run(self, port: int, seconds: int) -> LoadResult:
        log = self._folder / "h2load.log"
        log.unlink(missing_ok=True)
        command = [
            *(self._path, "-t1", f"-c{CONNECTIONS}", f"-m{STREAMS}", f"-D{seconds}"),
            *(f"--log-file={log}", "-i", str(self._targets(port))),
            *(part for line in self._headers() for part in ("-H", line)),
        ]
        if self._grpc:
            data = self._folder / "message"
            data.write_bytes(_QUESTION)
            command += ["-d", str(data)]
        done = subprocess.run(
            pinned(command, self._cpus),
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
        )
        if done.returncode:
            raise LoadError(f"h2load ended with {done.returncode}: {done.stderr.strip()[-200:]}")
        return parse_h2load(done.stdout, seconds, log.read_text())

    def _targets(self, port: int) -> Path:
        """Paths that differ, as those of the other loads do."""
        file = self._folder / f"targets-{port}"
        path = "/shop.Products/Get%d" if self._grpc else "/api/v1/products/%d"
        lines = [f"http://127.0.0.1:{port}{path % number}" for number in range(PATHS)]
        file.write_text("\n".join(lines) + "\n")
        return file

    def _headers(self) -> list[str]:
        fields = [(name.lower(), value) for name, value in HEADERS if name != "Host"]
        if self._grpc:
            fields = [*_CALL, *fields[-_MANY:]]
        lines = [f"{name}: {value % 7 if '%' in value else value}" for name, value in fields]
        return [f":authority: {HOST}", *lines]


def parse_h2load(text: str, seconds: float, log: str) -> LoadResult:
    """``log``: what ``--log-file`` wrote: start, status and microseconds of each request."""
    requests = re.search(
        r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored",
        text,
        re.MULTILINE,
    )
    codes = re.search(r"^status codes: (\d+) 2xx", text, re.MULTILINE)
    if requests is None or codes is None:
        raise LoadError("h2load printed no result")
    done, _, _, errored = map(int, requests.groups())
    good = int(codes[1])
    times = sorted(float(line.split("\t")[2]) for line in log.splitlines())
    if not good or not times:
        raise LoadError("no request of h2load's was answered")
    errors = {"status": max(0, done - good), "read": errored}
    return LoadResult(
        good,
        seconds,
        percentile(times, 50),
        percentile(times, 99),
        {name: count for name, count in errors.items() if count},
    )
