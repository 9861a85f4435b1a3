"""Callers that come, prove who they are, and go; and callers that stay without a word.

Run as ``python -m benchmarks.load.handshakes``, it makes one handshake after the other and prints
how many there were. A handshake counts once the server has closed in answer to our close: with
TLS 1.3 a client has finished before the server has looked at its certificate.
"""

from __future__ import annotations

import argparse
import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.load.answer import Answer
from benchmarks.load.request import request_maker
from benchmarks.load.result import LoadError
from benchmarks.machine.cpus import pinned
from benchmarks.peers.envoy_tls import CALLER_ALPN

_NAME = "outbound_.80_._.inv.default.svc.cluster.local"


class Caller:
    """Connects to one port with the certificate of a folder."""

    def __init__(self, port: int, certificates: Path) -> None:
        self._address = ("127.0.0.1", port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False  # a mesh goes by SPIFFE IDs
        self._context.load_cert_chain(certificates / "cert-chain.pem", certificates / "key.pem")
        self._context.load_verify_locations(certificates / "root-cert.pem")
        self._context.set_alpn_protocols(list(CALLER_ALPN["http"]))

    def connect(self, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        sock = socket.create_connection(self._address, timeout=10)
        # As clients do; else the end waits 40 ms for an acknowledgement, and caches grow cold.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(sock, server_hostname=_NAME, session=session)

    def come_and_go(self, session: ssl.SSLSession | None = None) -> None:
        with self.connect(session) as sock:
            if session is not None and not sock.session_reused:
                raise LoadError("a session was not resumed")
            sock.unwrap()

    def session(self) -> ssl.SSLSession | None:
        """Of a connection that has carried a request; None where the server offers none."""
        with self.connect() as sock:
            ask(sock)
            found = sock.session
            return found if found is not None and found.has_ticket else None


def ask(sock: ssl.SSLSocket) -> None:
    """One request. Raises `LoadError` unless it is answered well."""
    sock.sendall(request_maker()(1))
    answer = Answer()
    while not answer.feed(data := sock.recv(65536)):
        if not data:
            raise LoadError("closed in the middle of an answer")
    if answer.status != 200:
        raise LoadError(f"answered {answer.status}")


def handshakes(
    port: int, certificates: Path, seconds: int, cpus: tuple[int, ...], resumed: bool
) -> int | None:
    """How many were made; None where the server does not resume."""
    command = [
        *(sys.executable, "-m", "benchmarks.load.handshakes", "--port", str(port)),
        *("--certificates", str(certificates), "--seconds", str(seconds)),
        *(["--resumed"] if resumed else []),
    ]
    done = subprocess.run(
        pinned(command, cpus),
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if done.returncode:
        raise LoadError(f"the handshakes ended: {done.stderr.strip().splitlines()[-1]}")
    return int(done.stdout) if done.stdout.strip() != "none" else None


@contextmanager
def idle(port: int, certificates: Path, count: int) -> Iterator[None]:
    """So many connections, each of which has asked once."""
    caller = Caller(port, certificates)
    with ExitStack() as stack:
        for _ in range(count):
            ask(stack.enter_context(caller.connect()))
        yield


def room_for(connections: int) -> None:
    """Let this process, and those it starts, have so many connections on either side."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + 1000
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificates", type=Path, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--resumed", action="store_true")
    given = parser.parse_args()
    caller = Caller(given.port, given.certificates)
    session = caller.session() if given.resumed else None
    if given.resumed and session is None:
        print("none")
        return
    made = 0
    end = time.perf_counter() + given.seconds
    while time.perf_counter() < end:
        caller.come_and_go(session)
        made += 1
    print(made)


if __name__ == "__main__":
    main()
