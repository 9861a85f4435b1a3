"""Changed configuration: the next plan whole or none of it, and not one request lost over it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.peers import LOCAL, Ended, Peer, ask, request, wait_until
from tests.support.servers import App, Server, echo_bytes
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    mesh_config,
    plain,
    route_to,
    service,
    settings,
    subsets,
    virtual_service,
    workload,
)


@dataclass(frozen=True)
class Place:
    """A service with two versions; the weight of the first is what changes."""

    proxy: Sidecar
    port: int
    v1: App
    v2: App
    fixed: tuple[Any, ...]

    def text(self, weight: int, *more: Any) -> str:
        return config(
            *self.fixed,
            virtual_service(
                "app",
                {
                    "route": [
                        route_to("app", subset="v1", weight=weight),
                        route_to("app", subset="v2", weight=100 - weight),
                    ]
                },
            ),
            *more,
        )

    def app(self, host: str = "app") -> str:
        return str(ask(self.port, host=host).json["app"])


@pytest.fixture
def place() -> Iterator[Place]:
    port = free_port()
    with App("v1") as v1, App("v2") as v2:
        fixed = (
            me(),
            service("app", port),
            workload("app-1", "app", {"http": v1.port}, "v1"),
            workload("app-2", "app", {"http": v2.port}, "v2"),
            subsets("app", "v1", "v2"),
            plain([(port, "HTTP")]),
            settings(accessLogFlush="20ms"),
        )
        proxy = Sidecar("", workers=2)
        place = Place(proxy, port, v1, v2, fixed)
        proxy.write(place.text(100))
        with proxy:
            yield place


def settled(place: Place, app: str) -> None:
    """Wait until every worker runs the plan under which this app answers."""

    def everywhere() -> bool:
        return {place.app() for _ in range(12)} == {app}

    wait_until(everywhere, f"{app} to answer alone")


def test_a_changed_file_is_taken(place: Place) -> None:
    assert place.app() == "v1"
    place.proxy.reload(place.text(0))
    settled(place, "v2")
    assert place.proxy.metrics().value("meshproxy_config_generation") == 2
    place.proxy.reload(place.text(100))
    settled(place, "v1")
    assert place.proxy.metrics().value("meshproxy_config_generation") == 3


def test_the_next_request_of_an_open_connection_is_under_the_new_plan(place: Place) -> None:
    with Peer.connect(place.port) as client:
        assert client.ask().json["app"] == "v1"
        place.proxy.reload(place.text(0))
        wait_until(lambda: client.ask().json["app"] == "v2", "the new plan")


def test_an_open_request_finishes_on_its_own_plan(place: Place) -> None:
    """Even where the service that answers it is gone from the configuration."""
    with Peer.connect(place.port) as client:
        client.send(request(path="/drip"))
        assert client.head().status == 200
        assert client.exactly(1) == b"d"
        place.proxy.reload(config(me(), plain([(place.port, "HTTP")])))
        wait_until(lambda: ask(place.port).status == 502, "the new plan")
        place.v1.released.set()
        assert client.exactly(4) == b"ripp"
        assert client.ask().status == 502


def test_a_file_with_an_error_changes_nothing(place: Place) -> None:
    """The log has file, line, field and mend; it is counted, and stands in the dump."""
    broken = place.text(0, virtual_service("bad", {"route": [{"destination": {"hots": "app"}}]}))
    place.proxy.reload(broken, "rejected")
    line = broken[: broken.index("hots")].count("\n")
    assert f"config.yaml:{line}: error: spec.http[0].route[0].destination.host" in place.proxy.log
    assert "did you mean host?" in place.proxy.log
    assert place.app() == "v1"
    assert place.proxy.metrics().value("meshproxy_config_generation") == 1
    (reason,) = place.proxy.config_dump()["source"]["rejected"]
    assert "destination.host" in reason
    # The mended file is taken as any other.
    place.proxy.reload(place.text(0))
    settled(place, "v2")
    assert place.proxy.config_dump()["source"]["rejected"] == []


@pytest.mark.parametrize("text", ["{", "a: [1,\n", "\x00", "- - -\n  x: : y\n"])
def test_a_file_that_is_no_yaml_changes_nothing(place: Place, text: str) -> None:
    place.proxy.reload(text, "rejected")
    assert "config.yaml:" in place.proxy.log
    assert place.app() == "v1"


def test_a_file_that_goes_away_changes_nothing(place: Place) -> None:
    kept = place.proxy.config.read_text(encoding="utf-8")
    place.proxy.config.unlink()
    wait_until(lambda: place.proxy.reloads("rejected"), "it to be noticed")
    assert place.app() == "v1"
    place.proxy.reload(kept)
    assert place.app() == "v1"


def test_sighup_reads_anew(place: Place) -> None:
    """Also where nothing has changed."""
    before = place.proxy.reloads("accepted")
    place.proxy.signal(signal.SIGHUP)
    wait_until(lambda: place.proxy.reloads("accepted") == before + 1, "another reading")
    assert place.app() == "v1"


def test_the_whole_directory_is_one_configuration(place: Place) -> None:
    """Two files: an error in one keeps the other from being taken as well."""
    folder = place.proxy.folder / "many"
    folder.mkdir()
    (folder / "a.yaml").write_text(place.text(100), encoding="utf-8")
    (folder / "b.yaml").write_text(config(mesh_config()), encoding="utf-8")
    proxy = Sidecar("", workers=1)
    proxy.argv[proxy.argv.index("--config") + 1] = str(folder)
    place.proxy.stop()
    with proxy:
        assert place.app() == "v1"
        (folder / "b.yaml").write_text("kind: [", encoding="utf-8")
        wait_until(lambda: proxy.reloads("rejected"), "the error to be noticed")
        (folder / "a.yaml").write_text(place.text(0), encoding="utf-8")
        wait_until(lambda: proxy.reloads("rejected") >= 2, "the second look")
        assert place.app() == "v1"
        (folder / "b.yaml").unlink()
        wait_until(lambda: place.app() == "v2", "both changes")


def test_a_mounted_config_map_is_watched() -> None:
    """Kubernetes changes such a directory by turning one symbolic link."""
    port = free_port()
    with App("v1") as v1, App("v2") as v2:

        def text(app: App) -> str:
            return config(
                me(),
                service("app", port),
                workload("app-1", "app", {"http": app.port}),
                plain([(port, "HTTP")]),
            )

        proxy = Sidecar("")
        mount = proxy.folder / "mount"
        for name, app in (("..1", v1), ("..2", v2)):
            (mount / name).mkdir(parents=True)
            (mount / name / "mesh.yaml").write_text(text(app), encoding="utf-8")
        (mount / "..data").symlink_to("..1")
        (mount / "mesh.yaml").symlink_to("..data/mesh.yaml")
        proxy.argv[proxy.argv.index("--config") + 1] = str(mount)
        with proxy:
            assert ask(port).json["app"] == "v1"
            (mount / "..next").symlink_to("..2")
            os.replace(mount / "..next", mount / "..data")
            wait_until(lambda: ask(port).json["app"] == "v2", "the turned link")


def test_no_request_is_lost_to_reloads_under_load(place: Place) -> None:
    """Ten changes while clients ask as fast as they can, on open connections and on fresh ones."""
    failures: list[str] = []
    apps: Counter[str] = Counter()
    done = threading.Event()

    def run(keep: bool) -> None:
        try:
            while not done.is_set():
                with Peer.connect(place.port) as client:
                    for _ in range(1000 if keep else 1):
                        answer = client.ask()
                        if answer.status != 200:
                            failures.append(f"{answer.status} {answer.text}")
                        apps[answer.json["app"]] += 1
                        if done.is_set():
                            break
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=run, args=(keep,)) for keep in (True, True, False)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        before = sum(apps.values())
        place.proxy.reload(place.text(50 + turn, service(f"other-{turn}", place.port)))
        wait_until(lambda at=before: sum(apps.values()) > at + 20 or failures, "traffic")
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(apps.values()) > 200
    assert place.proxy.reloads("accepted") == 11
    assert place.proxy.metrics().value("istio_requests_total", response_code="200") == sum(
        apps.values()
    )


def test_pooled_connections_outlive_a_reload(place: Place) -> None:
    """What has not changed keeps its connections."""
    for _ in range(10):
        assert place.app() == "v1"
    for turn in range(3):
        place.proxy.reload(place.text(100, service(f"other-{turn}", place.port)))
        for _ in range(10):
            assert place.app() == "v1"
    assert place.v1.accepted <= 2  # one for each worker, and none for a reload


def test_endpoints_that_are_gone_get_no_more(place: Place) -> None:
    place.proxy.reload(
        config(*(each for each in place.fixed if each["metadata"]["name"] != "app-1"))
    )
    settled(place, "v2")


def test_connections_to_gone_endpoints_end(place: Place) -> None:
    """Idle ones are closed: nobody will use them again."""
    for _ in range(10):
        assert place.app() == "v1"
    assert place.v1.open
    place.proxy.reload(
        config(*(each for each in place.fixed if each["metadata"]["name"] != "app-1"))
    )
    settled(place, "v2")
    wait_until(lambda: not place.v1.open, "idle connections to end", patience=3)


# Listeners.


def test_a_port_is_opened_and_closed_live(place: Place) -> None:
    second = free_port()
    opened = config(
        *place.fixed[:-2],
        service("late", second),
        workload("late-1", "late", {"http": place.v2.port}),
        plain([(place.port, "HTTP"), (second, "HTTP")]),
    )
    with pytest.raises(ConnectionRefusedError):
        Peer.connect(second)
    place.proxy.reload(opened)
    wait_until(lambda: listening(second), "the port to be open")
    for _ in range(10):
        assert ask(second, host="late").json["app"] == "v2"
    with Peer.connect(second) as client:
        assert client.ask(host="late").status == 200
        place.proxy.reload(place.text(100))
        wait_until(lambda: not listening(second), "the port to be closed")
        # What was open is told to go, and is not cut off in the middle of anything.
        with contextlib.suppress(Ended, ConnectionError):
            assert client.ask(host="late").status in (200, 404, 502, 503)
    # And again: neither socket nor name is used up.
    place.proxy.reload(opened)
    wait_until(lambda: listening(second), "the port to be open again")
    for _ in range(10):
        assert ask(second, host="late").json["app"] == "v2"


def listening(port: int) -> bool:
    try:
        Peer.connect(port).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_port_changes_what_it_carries(place: Place) -> None:
    """From HTTP to opaque bytes, on the same number."""
    with Server(echo_bytes) as echo:
        place.proxy.reload(
            config(
                me(),
                service("db", place.port, "tcp"),
                workload("db-1", "db", {"tcp": echo.port}),
                plain([(place.port, "TCP")]),
            )
        )

        def opaque() -> bool:
            with Peer.connect(place.port) as client:
                client.send(b"\x00\x01")
                return client.exactly(2) == b"\x00\x01"

        wait_until(opaque, "bytes to pass")


def test_a_port_that_is_taken_rejects_the_whole(place: Place) -> None:
    """Nothing of the new configuration is used, and the log says which port."""
    with socket.create_server((LOCAL, 0)) as taken:
        number = taken.getsockname()[1]
        text = config(
            *place.fixed[:-2],
            service("late", number),
            virtual_service("app", {"route": [route_to("app", subset="v2")]}),
            plain([(place.port, "HTTP"), (number, "HTTP")]),
        )
        place.proxy.reload(text, "rejected")
        assert place.app() == "v1"
        assert str(number) in str(place.proxy.config_dump()["source"]["rejected"])
    place.proxy.signal(signal.SIGHUP)
    wait_until(lambda: place.app() == "v2", "it to be taken once the port is free")


def test_a_port_that_is_taken_stands_in_the_log(place: Place) -> None:
    with socket.create_server((LOCAL, 0)) as taken:
        number = taken.getsockname()[1]
        text = config(*place.fixed[:-2], plain([(place.port, "HTTP"), (number, "HTTP")]))
        place.proxy.reload(text, "rejected")
        assert str(number) in place.proxy.log


def test_settings_change_live(place: Place) -> None:
    assert ask(place.port, headers=[("X-A", "b"), ("X-C", "d")]).status == 200
    place.proxy.reload(config(*place.fixed[:-1], settings(maxRequestHeaders=2)))
    wait_until(
        lambda: ask(place.port, headers=[("X-A", "b"), ("X-C", "d")]).status == 431,
        "the new bound",
    )


def test_an_access_log_is_turned_on_live(place: Place) -> None:
    proxy = place.proxy
    proxy.stop()
    with Sidecar(place.text(100), access_log=False) as fresh:
        ask(place.port, "/?before")
        log = istio("Telemetry", "log", {"accessLogging": [{"providers": [{"name": "envoy"}]}]})
        fresh.reload(place.text(100, log))

        def logged() -> bool:
            ask(place.port, "/?after")
            return "/?after" in fresh.output

        wait_until(logged, "the first line")
        assert "/?before" not in fresh.output


def test_a_replaced_worker_runs_the_newest_plan(place: Place) -> None:
    place.proxy.reload(place.text(0))
    settled(place, "v2")
    for pid in place.proxy.workers():
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: (
            place.proxy.metrics().value("meshproxy_worker_restarts_total", reason="died") == 2
            and place.proxy.metrics().value("meshproxy_workers") == 2
        ),
        "both workers to be replaced",
    )
    settled(place, "v2")
