"""The command line: help, wrong usage, and the small commands."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from meshproxy import __version__
from meshproxy.cli.main import run

HELP = (
    "proxy",
    "iptables",
    "clean-iptables",
    "wait",
    "request",
    "proxy-config",
    "ca",
    "demo",
    "version",
    "completion",
)


def meshproxy(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meshproxy", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_lists_every_command() -> None:
    shown = meshproxy("--help")
    assert shown.returncode == 0
    for command in HELP:
        assert f"\n  {command} " in shown.stdout


@pytest.mark.parametrize("command", HELP)
def test_every_command_explains_itself(command: str) -> None:
    shown = meshproxy(command, "--help")
    assert shown.returncode == 0
    assert "--help" in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["proxy", "--nonsense"], "No such option"),
        (["proxy", "--workload", "x"], "'x' is not NAMESPACE/NAME"),
        (["proxy", "--drain-duration", "soon"], "'soon' is not a duration"),
        (["proxy", "--outbound-port", "70000"], "70000 is not in the range"),
        (["ca", "init"], "Missing argument 'DIR'"),
        (["ca", "issue"], "Missing option '--identity'"),
        (["ca", "issue", "--identity", "x"], "is no SPIFFE ID"),
        (["ca", "issue", "--identity", "spiffe://a"], "it names an authority"),
        (["ca", "issue", "--identity", "spiffe://a/b", "--ttl", "0"], "--ttl is from one second"),
        (["ca", "issue", "--identity", "spiffe://a/b", "--dns", "\u00e4"], "is no DNS name"),
        (
            ["ca", "issue", "--identity", "spiffe://a/b", "--ca", "/nowhere"],
            "there is no authority",
        ),
        (["ca", "init", "/nowhere/at", "--trust-domain", "A"], "is no trust domain"),
        (["request", "GET"], "Missing argument 'PATH'"),
    ],
)
def test_wrong_usage_is_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, "meshproxy") == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"], "meshproxy") == 0
    assert run(["version", "-o", "json"], "meshproxy") == 0
    text, shown = capsys.readouterr().out.splitlines()
    assert text == f"meshproxy {__version__}"
    assert json.loads(shown)["clientVersion"]["version"] == __version__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell], "meshproxy") == 0
    assert "_MESHPROXY_COMPLETE" in capsys.readouterr().out


@pytest.fixture
def sidecar() -> Iterator[tuple[int, list[int]]]:
    """Something that answers as a sidecar's port would, with the statuses of the list."""
    statuses: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()
            self.wfile.write(b"waiting for something\n")

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port, statuses
    server.shutdown()
    thread.join()
    server.server_close()


def test_wait(sidecar: tuple[int, list[int]]) -> None:
    port, statuses = sidecar
    statuses += [503, 503]
    url = f"http://127.0.0.1:{port}/healthz/ready"
    assert run(["wait", "--url", url, "--periodMillis", "5"], "meshproxy") == 0
    assert not statuses


def test_wait_tells_why_not(
    sidecar: tuple[int, list[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    port, statuses = sidecar
    statuses += [503] * 1000
    url = f"http://127.0.0.1:{port}/healthz/ready"
    arguments = ["wait", "--url", url, "--timeoutSeconds", "0", "--periodMillis", "5"]
    assert run(arguments, "meshproxy") == 1
    assert "waiting for something" in capsys.readouterr().err


def test_request(sidecar: tuple[int, list[int]], capsys: pytest.CaptureFixture[str]) -> None:
    port, statuses = sidecar
    assert run(["request", "GET", "ready", "--admin-port", str(port)], "meshproxy") == 0
    assert capsys.readouterr().out == "waiting for something\n"
    statuses.append(404)
    assert run(["request", "GET", "/x", "--admin-port", str(port)], "meshproxy") == 1


def test_request_without_a_sidecar(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["request", "GET", "/ready", "--admin-port", "1"], "meshproxy") == 1
    assert "no sidecar answers on 127.0.0.1:1" in capsys.readouterr().err


def test_the_init_step_starts_without_the_proxy() -> None:
    code = (
        "import sys; sys.argv = ['meshproxy', 'iptables', '--dry-run']\n"
        "from meshproxy.__main__ import main\n"
        "main()\n"
        "heavy = {'click', 'uvloop', 'asyncio', 'yaml', 'h2', 'pyroute2', 'meshproxy.app'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[-1:]) in [
        (0, []),
        (0, done.stderr.splitlines()[-1:]),
    ]
    assert "ISTIO_OUTPUT" in done.stdout


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("istio-iptables", ["--dry-run"]),
        ("pilot-agent", ["istio-iptables", "--dry-run"]),
        ("meshproxy", ["istio-iptables", "--dry-run"]),
    ],
)
def test_under_the_names_of_istio(name: str, arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['/usr/local/bin/{name}', *{arguments!r}]\n"
        "from meshproxy.__main__ import main\nsys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ISTIO_OUTPUT" in done.stdout
