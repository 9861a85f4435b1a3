"""gRPC's own interop cases, by the programs of grpc-go, through two sidecars with mutual TLS.

`scripts/setup.sh go grpc-interop-client grpc-interop-server` installs them where Go is at hand. The
cases are those of gRPC's `doc/interop-test-descriptions.md`; the client checks what comes back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hop import BACK, FRONT, me, ours
from tests.support.peers import LOCAL, Peer, wait_until
from tests.support.pki import Authority
from tests.support.sidecar import KINDS, Sidecar, config, free_port, istio, plain, settings

_PATH = f"{os.environ['PATH']}:{Path.home() / 'go/bin'}"
CLIENT = shutil.which("grpc-interop-client", path=_PATH)
SERVER = shutil.which("grpc-interop-server", path=_PATH)
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        CLIENT is None or SERVER is None,
        reason="gRPC's interop programs are missing (scripts/setup.sh go grpc-interop-client)",
    ),
]

# Each with the status that the sidecars should have counted.
CASES = {
    "empty_unary": 0,
    "large_unary": 0,
    "client_streaming": 0,
    "server_streaming": 0,
    "ping_pong": 0,
    "empty_stream": 0,
    "custom_metadata": 0,
    "status_code_and_message": 2,
    "special_status_message": 2,
    "unimplemented_method": 12,
    "unimplemented_service": 12,
}
# With how many of the two sidecars surely see the call: one that is cancelled as soon as it has
# begun may never have left the client.
CUT_SHORT = {"cancel_after_begin": 0, "cancel_after_first_response": 2}


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    assert SERVER is not None
    port = free_port()
    command = [SERVER, f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: _listens(port), "the interop server to listen")
        yield port
        process.terminate()


def _listens(port: int) -> bool:
    try:
        Peer.connect(port).close()
    except OSError:
        return False
    return True


class Hop:
    """``caller`` and ``called`` are the two sidecars; clients call the port."""

    def __init__(self, port: int, caller: Sidecar, called: Sidecar) -> None:
        self.port, self.caller, self.called = port, caller, called

    def run(self, case: str) -> subprocess.CompletedProcess[str]:
        assert CLIENT is not None
        where = ("--server_host=localhost", f"--server_port={self.port}")
        command = [CLIENT, *where, f"--test_case={case}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def counted(self, **labels: str) -> list[float]:
        """At the caller's sidecar and at the called one's."""
        labels = {"request_protocol": "grpc", **labels}
        return [
            each.metrics().value("istio_requests_total", **labels)
            for each in (self.caller, self.called)
        ]


@pytest.fixture(scope="module", params=KINDS)
def hop(request: pytest.FixtureRequest, server: int) -> Iterator[Hop]:
    codec, workers = request.param
    port, inbound = free_port(), free_port()
    authority = Authority()
    far = config(
        me("back"),
        plain(ingress=[(inbound, "GRPC", server)]),
        istio("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
        settings(accessLogFlush="20ms"),
    )
    near = config(
        me("front"),
        *interop(port, inbound),
        plain([(port, "GRPC")]),
        settings(accessLogFlush="20ms"),
    )
    with (
        ours(far, authority.issue(BACK), codec=codec, workers=workers) as called,
        ours(near, authority.issue(FRONT), codec=codec, workers=workers) as caller,
    ):
        yield Hop(port, caller, called)


def interop(port: int, target: int) -> list[dict[str, object]]:
    """The client asks for ``localhost``."""
    endpoint = {"address": LOCAL, "ports": {"rpc": target}, "serviceAccount": "back"}
    spec = {
        "hosts": ["localhost"],
        "ports": [{"number": port, "name": "rpc", "protocol": "GRPC"}],
        "resolution": "STATIC",
        "endpoints": [endpoint],
    }
    tls = {"host": "localhost", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
    return [istio("ServiceEntry", "interop", spec), istio("DestinationRule", "interop", tls)]


@pytest.mark.parametrize(("case", "status"), CASES.items(), ids=CASES)
def test_case(hop: Hop, case: str, status: int) -> None:
    before = hop.counted(grpc_response_status=str(status))
    mutual = {"grpc_response_status": str(status), "connection_security_policy": "mutual_tls"}
    done = hop.run(case)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: more(hop.counted(grpc_response_status=str(status)), before), "both to count")
    assert hop.counted(**mutual)[1] > 0


@pytest.mark.parametrize(("case", "ends"), CUT_SHORT.items(), ids=CUT_SHORT)
def test_a_call_that_is_cut_short(hop: Hop, case: str, ends: int) -> None:
    """Every sidecar that has seen the call knows, so nothing stays open behind the caller."""

    def cut() -> list[float]:
        return hop.counted(response_flags="DC", grpc_response_status="1")[:ends]

    before = cut()
    done = hop.run(case)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: more(cut(), before), "the sidecars to count")


def test_timeout_on_sleeping_server(hop: Hop) -> None:
    """A millisecond, in which the call need not have got anywhere."""
    done = hop.run("timeout_on_sleeping_server")
    assert done.returncode == 0, done.stderr


def more(after: list[float], before: list[float]) -> bool:
    return all(a > b for a, b in zip(after, before, strict=True))
