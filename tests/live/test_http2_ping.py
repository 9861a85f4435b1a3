"""HTTP/2 peers that stop without a word: a real server and a real client, halted by SIGSTOP."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.http2 import Http2App, Http2Client
from tests.support.namespaces import tool
from tests.support.nginx import NGINX, http2_server
from tests.support.peers import LOCAL, ask, wait_until
from tests.support.sidecar import (
    CODECS,
    Sidecar,
    config,
    free_port,
    me,
    plain,
    service,
    settings,
    workload,
)

NGHTTP = tool("nghttp") or ""
CLIENTS = "meshproxy_downstream_http2_ping_timeouts_total"
SERVERS = "meshproxy_upstream_http2_ping_timeouts_total"
# Short, so that the test is; those that run have a second for their answer.
PINGS = settings(h2PingInterval="200ms", h2PingTimeout="1s", accessLogFlush="20ms")

pytestmark = pytest.mark.peer


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.skipif(not NGINX, reason="not installed: nginx")
@pytest.mark.parametrize("codec", CODECS)
def test_a_server_that_stops(codec: str) -> None:
    """Its requests are sent again on another connection, and fail there: it takes connections as
    long as the kernel does that for it."""
    port = free_port()
    with http2_server() as server:
        text = config(
            me(),
            service("far", port, "http2"),
            workload("far-1", "far", {"http2": server.port}),
            plain([(port, "HTTP2")]),
            PINGS,
        )
        with Sidecar(text, codec=codec) as proxy:
            cluster = f"outbound|{port}||far.default.svc.cluster.local"
            assert ask(port, "/", host="far").text.startswith("HTTP/2.0 far")
            before = proxy.metrics()
            with stopped(server.pid):
                answer = ask(port, "/?silent", host="far")
            assert answer.status == 503
            assert "nothing came within 1 s of a PING (UC)" in answer.text
            line = proxy.access("/?silent")
            assert " 503 UC upstream_reset_before_response_started{http2_ping_timeout} " in line
            assert re.search(r"nothing.came.within.1.s.of.a.PING", line), line
            after = proxy.metrics()
            for counter, labels, more in (
                (SERVERS, {"cluster": cluster}, 2),
                ("meshproxy_request_resends_total", {}, 1),
            ):
                assert after.value(counter, **labels) == before.value(counter, **labels) + more
            assert ask(port, "/", host="far").status == 200, "it runs again"


@pytest.mark.skipif(not NGHTTP, reason="not installed: nghttp")
@pytest.mark.parametrize("codec", CODECS)
def test_a_client_that_stops(codec: str) -> None:
    """What it asked for is cancelled; otherwise it would be worked on for nobody."""
    port = free_port()
    with Http2App() as app:
        text = config(me(), plain([], [(port, "HTTP2", app.port)]), PINGS)
        with Sidecar(text, codec=codec) as proxy:
            before = proxy.metrics().value(CLIENTS)
            url = f"http://{LOCAL}:{port}/hold?stopped"
            client = subprocess.Popen([NGHTTP, "-n", url], stdin=subprocess.DEVNULL)
            try:
                wait_until(lambda: app.count("/hold"), "the request")
                with stopped(client.pid):
                    wait_until(lambda: app.resets, "the request to be cancelled")
            finally:
                client.kill()
                client.wait()
            assert app.resets == [8]
            line = proxy.access("/hold?stopped")
            assert " 0 DC downstream_local_disconnect(http2_ping_timeout) " in line
            assert proxy.metrics().value(CLIENTS) == before + 1


@pytest.mark.parametrize("codec", CODECS)
def test_peers_that_run_are_left_alone(codec: str) -> None:
    """On both sides, for several times the interval."""
    port = free_port()
    with Http2App() as app:
        text = config(me(), plain([], [(port, "HTTP2", app.port)]), PINGS)
        with Sidecar(text, codec=codec) as proxy:
            with Http2Client(port) as client:
                held = client.request(path="/hold")
                client.until(lambda: client.pings > 2, "some PINGs")  # the library answers them
                app.released.set()
                assert client.answer(held).text == "released"
            # The client reads nothing from here on, and would not answer.
            found = proxy.metrics()
            assert found.value(CLIENTS) == found.value(SERVERS) == 0
