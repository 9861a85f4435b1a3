"""The access log: Istio's formats, complete at the end, and never in the way of traffic."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import LOCAL, Peer, ask, wait_until
from tests.support.servers import App
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    mesh_config,
    plain,
    service,
    settings,
    workload,
)

# Istio's default text format; groups are named after its JSON keys.
LINE = re.compile(
    r"\[(?P<start_time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\] "
    r'"(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)" '
    r"(?P<response_code>\d+) (?P<response_flags>\S+) (?P<response_code_details>\S+) "
    r'(?P<connection_termination_details>.+?) "(?P<upstream_transport_failure_reason>[^"]*)" '
    r"(?P<bytes_received>\d+) (?P<bytes_sent>\d+) (?P<duration>\d+) "
    r'(?P<upstream_service_time>\S+) "(?P<x_forwarded_for>[^"]*)" "(?P<user_agent>[^"]*)" '
    r'"(?P<request_id>[^"]*)" "(?P<authority>[^"]*)" "(?P<upstream_host>[^"]*)" '
    r"(?P<upstream_cluster>\S+) (?P<upstream_local_address>\S+) "
    r"(?P<downstream_local_address>\S+) (?P<downstream_remote_address>\S+) "
    r"(?P<requested_server_name>\S+) (?P<route_name>\S+)"
)


@dataclass(frozen=True)
class Place:
    app: App
    port: int
    text: str


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """An app and a configuration; each test runs a sidecar of its own."""
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")]),
            settings(accessLogFlush="20ms"),
        )
        yield Place(app, port, text)


HEADERS = [("User-Agent", "tester/1"), ("X-Forwarded-For", "192.0.2.1"), ("X-Request-Id", "rid-1")]


def expected(place: Place, client: Peer) -> dict[str, str]:
    """The fields of one POST of 3 bytes that are known beforehand."""
    host = "app.default.svc.cluster.local"
    return {
        "method": "POST",
        "path": "/?logged",
        "protocol": "HTTP/1.1",
        "response_code": "200",
        "response_flags": "-",
        "response_code_details": "via_upstream",
        "connection_termination_details": "-",
        "upstream_transport_failure_reason": "-",
        "bytes_received": "3",
        "x_forwarded_for": "192.0.2.1",
        "user_agent": "tester/1",
        "request_id": "rid-1",
        "authority": "app",
        "upstream_host": f"{LOCAL}:{place.app.port}",
        "upstream_cluster": f"outbound|{place.port}||{host}",
        "downstream_local_address": f"{LOCAL}:{place.port}",
        "downstream_remote_address": "{}:{}".format(*client.own_name),
        "requested_server_name": "-",
        "route_name": "default",
    }


def test_istios_text_format(place: Place) -> None:
    with Sidecar(place.text) as proxy, Peer.connect(place.port) as client:
        answer = client.ask("/?logged", "POST", headers=HEADERS, body=b"abc")
        match = LINE.fullmatch(proxy.access("/?logged"))
        assert match
        found = match.groupdict()
        for name, value in expected(place, client).items():
            assert found[name] == value, name
        assert int(found["bytes_sent"]) == len(answer.body)
        assert found["upstream_local_address"] == "{}:{}".format(*answer.json["peer"])


def test_the_service_time_is_logged(place: Place) -> None:
    with Sidecar(place.text) as proxy:
        answer = ask(place.port, "/slow?ms=40")
        match = LINE.fullmatch(proxy.access("/slow"))
        assert match
        assert match["upstream_service_time"] == answer.get("x-envoy-upstream-service-time")


def test_istios_json_format(place: Place) -> None:
    """Numbers stay numbers, and what there is nothing to say about is null."""
    mesh = mesh_config(accessLogFile="/dev/stdout", accessLogEncoding="JSON")
    text = config(place.text, mesh)
    with Sidecar(text, access_log=False) as proxy, Peer.connect(place.port) as client:
        answer = client.ask("/?logged", "POST", headers=HEADERS, body=b"abc")
        wait_until(lambda: proxy.output.endswith("\n"), "a line on stdout")
        found: dict[str, Any] = json.loads(proxy.output)
        assert set(found) == set(LINE.groupindex)
        for name, value in expected(place, client).items():
            shown = found[name]
            assert ("-" if shown is None else str(shown)) == value, name
        for name in ("response_code", "bytes_received", "bytes_sent", "duration"):
            assert isinstance(found[name], int), name
        assert found["bytes_sent"] == len(answer.body)
        assert found["upstream_transport_failure_reason"] is None


def test_a_format_of_ones_own(place: Place) -> None:
    form = '%REQ(X-ODD?:METHOD)% %RESP(CONTENT-TYPE):11% %PROTOCOL% 100%% "%REQ(NOT-THERE)%"\n'
    mesh = mesh_config(accessLogFile="/dev/stdout", accessLogFormat=form)
    with Sidecar(config(place.text, mesh), access_log=False) as proxy:
        ask(place.port)
        wait_until(lambda: proxy.output.endswith("\n"), "a line on stdout")
        assert proxy.output == 'GET application HTTP/1.1 100% "-"\n'


def test_a_telemetry_object_turns_it_on(place: Place) -> None:
    telemetry = istio("Telemetry", "log", {"accessLogging": [{"providers": [{"name": "envoy"}]}]})
    with Sidecar(config(place.text, telemetry), access_log=False) as proxy:
        ask(place.port, "/?on")
        wait_until(lambda: '"GET /?on HTTP/1.1" 200' in proxy.output, "a line on stdout")


def test_a_telemetry_object_turns_it_off(place: Place) -> None:
    telemetry = istio("Telemetry", "log", {"accessLogging": [{"disabled": True}]})
    with Sidecar(config(place.text, telemetry)) as proxy:
        ask(place.port, "/?off")
        proxy.stop()
        assert proxy.access_lines() == []
        assert proxy.output == ""


def test_it_is_off_by_default(place: Place) -> None:
    with Sidecar(place.text, access_log=False) as proxy:
        ask(place.port)
        proxy.stop()
        assert proxy.output == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_no_line_is_lost_at_the_end(place: Place, workers: int) -> None:
    """Lines wait for their batch; SIGTERM writes what waits."""
    text = place.text.replace("20ms", "60s")
    with Sidecar(text, workers=workers) as proxy:
        for _ in range(5):
            with Peer.connect(place.port) as client:
                for _ in range(40):
                    client.ask("/?all")
        assert proxy.access_lines() == [], "a batch is not written line by line"
        proxy.stop()
        assert len(proxy.access_lines()) == 200
        assert all(LINE.fullmatch(line) for line in proxy.access_lines())


def test_full_batches_are_not_waited_with(place: Place) -> None:
    """Much traffic is written before the flush time is over."""
    text = place.text.replace("20ms", "60s")
    with Sidecar(text) as proxy, Peer.connect(place.port) as client:
        for _ in range(120):
            client.ask("/?" + "long" * 500)
        wait_until(proxy.access_lines, "the first batch")


def test_lines_of_two_workers_do_not_run_into_each_other(place: Place) -> None:
    """In a file, and in a pipe, whose writes are only whole up to 4 KiB."""
    with Sidecar(place.text, workers=2) as proxy:
        fetch(place.port, threads=4, each=100, path="/?" + "x" * 3000)
        proxy.stop()
        lines = proxy.access_lines()
        assert len(lines) == 400
        assert all(LINE.fullmatch(line) for line in lines)


def fetch(port: int, threads: int, each: int, path: str) -> None:
    def run() -> None:
        with Peer.connect(port) as client:
            for _ in range(each):
                assert client.ask(path).status == 200

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def test_sigusr1_reopens_the_file(place: Place) -> None:
    """As logrotate asks for: what came before stays in the old file, the rest is in the new."""
    with Sidecar(place.text, workers=2) as proxy:
        old = proxy.access_log.with_suffix(".1")
        fetch(place.port, threads=4, each=5, path="/?before")
        wait_until(lambda: len(proxy.access_lines()) == 20, "20 lines")
        proxy.access_log.rename(old)
        proxy.signal(signal.SIGUSR1)
        wait_until(proxy.access_log.exists, "the file to be made again")

        # Both workers have it open anew once lines of each arrive there.
        def all_there() -> bool:
            fetch(place.port, threads=4, each=2, path="/?after")
            proxy_lines = len(proxy.access_lines())
            return proxy_lines >= 8

        wait_until(all_there, "lines in the new file")
        text = old.read_text(encoding="utf-8")
        assert text.count("/?before") == 20


# A sink that takes nothing.


def stalled(folder: Path) -> Path:
    path = folder / "fifo"
    os.mkfifo(path)
    return path


def test_a_stalled_sink_does_not_stop_traffic(place: Place, tmp_path: Path) -> None:
    """Lines are dropped beyond a bounded queue, and counted; what is answered is answered."""
    fifo = stalled(tmp_path)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    text = place.text.replace(
        "accessLogFlush: 20ms", "accessLogFlush: 20ms\n  accessLogBufferBytes: 64Ki"
    )
    dropped = "meshproxy_access_log_dropped_total"
    try:
        with Sidecar(text, access_log=False, arguments=("--access-log", str(fifo))) as proxy:
            with Peer.connect(place.port) as client:
                slowest = 0.0
                for _ in range(300):
                    begun = time.monotonic()
                    assert client.ask("/?" + "x" * 1000).status == 200
                    slowest = max(slowest, time.monotonic() - begun)
            assert slowest < 1
            # A pipe holds 64 KiB, the queue as much, the rest of 300 KiB is gone.
            lost = proxy.metrics().value(dropped)
            assert 100 < lost < 300
            assert proxy.stop(8) == 0, "its end does not wait for ever either"
            got = b""
            while data := os.read(reader, 1 << 16):
                got += data
            lines = got.decode().splitlines()
            assert all(LINE.fullmatch(line) for line in lines[:-1]), "no line is torn"
    finally:
        os.close(reader)


def test_a_sink_that_nobody_has_opened_yet(place: Place, tmp_path: Path) -> None:
    """Opening a FIFO waits for a reader: that must not be the loop that carries requests."""
    fifo = stalled(tmp_path)
    arguments = ("--access-log", str(fifo))
    with Sidecar(place.text, access_log=False, arguments=arguments, ready=False) as proxy:
        try:
            wait_until(lambda: answers(place.port), "an answer", patience=3)
        finally:
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.close(reader)
        assert stat.S_ISFIFO(fifo.stat().st_mode)
        assert not proxy.ended


def answers(port: int) -> bool:
    try:
        with Peer.connect(port, patience=1) as client:
            client.sock.settimeout(1)
            return client.ask().status == 200
    except OSError:
        return False


def test_a_log_that_can_not_be_opened_is_said_in_a_sentence(place: Place) -> None:
    """It is found before there is traffic: exit status 1, and no traceback."""
    arguments = ("--access-log", "/nowhere/at/all/access.log")
    with Sidecar(place.text, access_log=False, arguments=arguments, ready=False) as proxy:
        assert proxy.wait(3) == 1
        assert "/nowhere/at/all/access.log" in proxy.log
        assert "Traceback" not in proxy.log


def test_a_reload_whose_log_can_not_be_opened_is_rejected(place: Place) -> None:
    mesh = mesh_config(accessLogFile="/nowhere/at/all/access.log")
    with Sidecar(place.text, access_log=False) as proxy:
        proxy.reload(config(place.text, mesh), "rejected")
        assert ask(place.port).status == 200
        assert "/nowhere/at/all/access.log" in str(proxy.config_dump()["source"]["rejected"])
        assert "/nowhere/at/all/access.log" in proxy.log
