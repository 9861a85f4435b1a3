"""Starting: ready in half a second, or an exit status and a sentence that tells what to mend."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.peers import LOCAL, Peer, ask, wait_until
from tests.support.servers import App
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    me,
    plain,
    route_to,
    run,
    service,
    virtual_service,
    workload,
)


def started(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to end by itself."""
    proxy = Sidecar(text, ready=False, arguments=arguments)
    return run(*proxy.argv[3:])


def free_of_noise(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


# A configuration that can't be used.


def test_every_problem_is_said_with_file_line_field_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(
        """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop]
  http:
  - timeout: 5 seconds
    route:
    - destination: {hots: shop}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec:
  ports:
  - {name: http, port: 99999}
""",
        encoding="utf-8",
    )
    done = run("proxy", "--config", str(path), "--workload", "default/me")
    assert done.returncode == 2
    free_of_noise(done)
    for line, field in ((7, "timeout"), (9, "hots"), (16, "port")):
        assert any(
            each.startswith(f"{path}:{line}:") and field in each
            for each in done.stderr.splitlines()
        ), f"line {line} is not named:\n{done.stderr}"
    assert "host" in done.stderr, "the mend"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("{", ["config.yaml:"], id="no YAML"),
        pytest.param("kind: Service\n", ["config.yaml:1", "apiVersion"], id="no apiVersion"),
        pytest.param("- a\n- b\n", ["config.yaml:1"], id="a list"),
        pytest.param("just words\n", ["config.yaml:1"], id="words"),
    ],
)
def test_what_is_no_configuration_at_all(text: str, words: list[str]) -> None:
    done = started(text)
    assert done.returncode == 2
    free_of_noise(done)
    for word in words:
        assert word in done.stderr


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    done = run("proxy", "--config", str(tmp_path / "nothing"), "--workload", "default/me")
    assert done.returncode == 2
    free_of_noise(done)
    assert str(tmp_path / "nothing") in done.stderr


def test_a_configuration_that_can_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text("", encoding="utf-8")
    path.chmod(0)
    # Root reads everything.
    done = run("proxy", "--config", str(path), user=1337 if os.geteuid() == 0 else None)
    assert done.returncode == 2
    free_of_noise(done)
    assert str(path) in done.stderr


def test_a_workload_that_nobody_named() -> None:
    """Several are on this host, or none: which one is meant must be said."""
    proxy = Sidecar(config(service("app", 80)), ready=False)
    arguments = proxy.argv[3:]
    at = arguments.index("--workload")
    done = run(*arguments[:at], *arguments[at + 2 :])
    assert done.returncode == 2
    free_of_noise(done)
    assert "--workload NAMESPACE/NAME" in done.stderr


# Wrong usage.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--concurrency", "many"], "--concurrency"),
        (["--admin-port", "70000"], "--admin-port"),
        (["--http1-codec", "slow"], "--http1-codec"),
        (["--drain-duration", "soon"], "soon"),
        (["--workload", "just-a-name"], "just-a-name"),
        (["--no-such-flag"], "--no-such-flag"),
        (["gateway"], "gateway"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    done = run("proxy", *arguments)
    assert done.returncode == 2
    free_of_noise(done)
    assert words in done.stderr


# Ports.


@pytest.mark.parametrize("which", ["admin", "status_port", "prometheus", "egress"])
def test_a_port_in_use_is_one_sentence(which: str) -> None:
    egress = free_port()
    with socket.socket() as taken:
        proxy = Sidecar(config(me(), plain([(egress, "HTTP")])), ready=False)
        number = egress if which == "egress" else getattr(proxy, which)
        taken.bind((LOCAL, number))
        taken.listen()
        done = run(*proxy.argv[3:])
    assert done.returncode == 1
    free_of_noise(done)
    (sentence,) = [line for line in done.stderr.splitlines() if "cannot listen" in line]
    assert f"{LOCAL}:{number}" in sentence
    assert "another program has this port" in sentence


def test_nothing_is_left_after_a_start_that_failed() -> None:
    egress = free_port()
    with socket.socket() as taken:
        taken.bind((LOCAL, egress))
        taken.listen()
        with Sidecar(config(me(), plain([(egress, "HTTP")])), ready=False) as proxy:
            assert proxy.wait() == 1
            wait_until(lambda: not proxy.family(), "everything to end")


def test_a_port_without_permission_is_one_sentence() -> None:
    """Ports under 1024 for a user without the capability."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        if int(file.read()) <= 81:
            pytest.skip("everybody may open low ports here")
    from tests.support.namespaces import python, tool

    if tool("setpriv") is None:
        pytest.skip("not installed: setpriv")
    text = config(me(), plain([(81, "HTTP")]))
    user = (
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        python(),
        "-m",
        "meshproxy",
    )
    with Sidecar(text, ready=False, command=user, access_log=False) as proxy:
        assert proxy.wait() == 1
        assert "CAP_NET_BIND_SERVICE" in proxy.log


def test_a_port_of_0_is_turned_off() -> None:
    egress = free_port()
    proxy = Sidecar(config(me(), plain([(egress, "HTTP")])), ready=False, access_log=False)
    for flag in ("--admin-port", "--status-port", "--prometheus-port"):
        proxy.argv[proxy.argv.index(flag) + 1] = "0"
    with proxy:
        wait_until(lambda: refused(egress) == 502, "the plain port")
        for number in (proxy.admin, proxy.status_port, proxy.prometheus):
            with pytest.raises(ConnectionRefusedError):
                proxy.get(number, "/")


def refused(port: int) -> int:
    try:
        return ask(port).status
    except OSError:
        return 0


# Getting ready.


def test_it_is_not_ready_before_it_can_serve() -> None:
    """As soon as it says ready, requests are answered."""
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")]),
        )
        for _ in range(3):
            with Sidecar(text, ready=False) as proxy:
                wait_until(lambda p=proxy: is_ready(p), "readiness")
                assert ask(port).status == 200


def is_ready(proxy: Sidecar) -> bool:
    try:
        return proxy.get(proxy.status_port, "/healthz/ready").status == 200
    except OSError:
        return False


def test_wait_blocks_until_it_is_ready() -> None:
    port = free_port()
    with Sidecar(config(me(), plain([(port, "HTTP")])), ready=False) as proxy:
        url = f"http://{LOCAL}:{proxy.status_port}/healthz/ready"
        done = run("wait", "--url", url, "--timeoutSeconds", "10", "--periodMillis", "20")
        assert (done.returncode, done.stderr) == (0, "")
        assert refused(port) == 502


def test_wait_gives_up() -> None:
    url = f"http://{LOCAL}:{free_port()}/healthz/ready"
    done = run("wait", "--url", url, "--timeoutSeconds", "1", "--periodMillis", "100")
    assert done.returncode == 1
    assert "not ready" in done.stderr
    assert "Traceback" not in done.stderr


# The admin API, by hand and by command.


def test_requests_to_the_admin_api() -> None:
    port = free_port()
    text = config(
        me(),
        service("app", port),
        virtual_service("app", {"route": [route_to("app")]}),
        plain([(port, "HTTP")]),
    )
    with Sidecar(text) as proxy:
        number = str(proxy.admin)
        done = run("request", "GET", "/ready", "--admin-port", number)
        assert (done.returncode, done.stdout) == (0, "LIVE\n")
        assert run("request", "GET", "/nothing", "--admin-port", number).returncode == 1
        dump = proxy.config_dump()
        assert dump["generation"] == 1
        assert f"outbound|{port}||app.default.svc.cluster.local" in json.dumps(dump["configs"])
        assert proxy.get(proxy.admin, "/server_info").json["state"] == "LIVE"
        assert proxy.get(proxy.admin, "/").status == 200


def test_health_can_be_failed_by_hand() -> None:
    with Sidecar(config(me(), plain([(free_port(), "HTTP")]))) as proxy:
        assert proxy.get(proxy.admin, "/healthcheck/fail").status == 405, "it changes something"
        assert is_ready(proxy)
        proxy.get(proxy.admin, "/healthcheck/fail", "POST")
        assert not is_ready(proxy)
        proxy.get(proxy.admin, "/healthcheck/ok", "POST")
        assert is_ready(proxy)


def test_the_admin_api_is_for_this_host_alone() -> None:
    """On 127.0.0.1, whatever the other ports are bound to."""
    proxy = Sidecar(config(me(), plain([(free_port(), "HTTP")])), arguments=("--bind", "127.0.0.2"))
    with proxy:
        Peer.connect(proxy.prometheus, "127.0.0.2").close()
        with pytest.raises(ConnectionRefusedError):
            Peer.connect(proxy.admin, "127.0.0.2")


def test_dns_that_nobody_serves() -> None:
    """Redirected names would not resolve: better not ready than silently broken."""
    with Sidecar(config(me()), arguments=["--dns-capture"], ready=False) as proxy:
        proxy.wait_for_log("DNS redirect is asked for")

        def reason() -> str:
            answer = proxy.get(proxy.status_port, "/healthz/ready")
            assert answer.status == 503
            return answer.text

        wait_until(lambda: "nothing serves 127.0.0.1 port 15053" in reason(), "the reason")


def test_a_redirect_that_is_required_and_can_not_be() -> None:
    done = run("proxy", "--require-redirect", "--inbound-port", "0")
    assert done.returncode == 2
    free_of_noise(done)
    assert "--inbound-port" in done.stderr


@pytest.mark.parametrize("command", [["proxy", "sidecar"], ["proxy"]])
def test_an_injection_templates_flags(tmp_path: Path, command: list[str]) -> None:
    """What `pilot-agent` alone knows is left out for a template, and refused for a person."""
    flags = ["--domain", "default.svc.cluster.local", "--proxyLogLevel=warning"]
    done = run(*command, *flags, "--config", str(tmp_path / "nothing"))
    assert done.returncode == 2
    free_of_noise(done)
    assert ("--domain" in done.stderr) == (command == ["proxy"])
    assert (str(tmp_path / "nothing") in done.stderr) == (command != ["proxy"])
