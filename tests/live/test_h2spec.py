"""Every case of `h2spec` against both directions of a real sidecar, in cleartext.

`h2spec` is installed by ``scripts/setup.sh go h2spec`` where Go is at hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.http2 import Http2App
from tests.support.sidecar import KINDS, Sidecar, config, free_port, istio, me, plain

PROGRAM = shutil.which("h2spec", path=f"{os.environ['PATH']}:{Path.home() / 'go/bin'}")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="h2spec is missing (scripts/setup.sh go h2spec)"
)

# The ports speak HTTP/1.1, too: what begins with neither protocol's words is told so with a 400 in
# HTTP/1.1, and the connection is closed. h2spec takes the 400 for broken frames.
ALSO_HTTP1 = {"http2/3.5: Sends invalid connection preface"}
CASES = 146


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_all_cases(kind: tuple[str, int], direction: str, tmp_path: Path) -> None:
    codec, workers = kind
    inbound, outbound = free_port(), free_port()
    with Http2App() as app:
        text = config(me(), local_host(outbound, app.port), ports(inbound, outbound, app.port))
        with Sidecar(text, codec=codec, workers=workers) as proxy:
            port = inbound if direction == "inbound" else outbound
            seen = h2spec(port, tmp_path / "report.xml")
            counted = proxy.metrics().value("meshproxy_downstream_protocol_errors_total")
    assert len(seen) == CASES
    assert {name: said for name, said in seen.items() if said and name not in ALSO_HTTP1} == {}
    assert counted > CASES / 3  # most of the cases break something


def local_host(port: int, app: int) -> dict[str, object]:
    """Requests name the host that h2spec connects to."""
    spec = {
        "hosts": ["localhost"],
        "ports": [{"number": port, "name": "http2", "protocol": "HTTP2"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"http2": app}}],
    }
    return istio("ServiceEntry", "local", spec)


def ports(inbound: int, outbound: int, app: int) -> dict[str, object]:
    return plain([(outbound, "HTTP2")], [(inbound, "HTTP2", app)])


def h2spec(port: int, report: Path) -> dict[str, str]:
    """What went wrong by section and case, strict ones included; empty if nothing did."""
    assert PROGRAM is not None
    subprocess.run(
        [PROGRAM, "-S", "-h", "localhost", "-p", str(port), "-o", "5", "-j", str(report)],
        capture_output=True,
        timeout=120,
        check=False,
    )
    seen: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        problem = case.find("failure")
        if problem is None:
            problem = case.find("error")
        name = f"{case.get('package')}: {case.get('classname')}"
        while name in seen:
            name += " (again)"
        seen[name] = "" if problem is None else ElementTree.tostring(problem, encoding="unicode")
    return seen
