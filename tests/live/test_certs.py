"""A sidecar's own certificate: taken, rotated, shown, and never its key."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshproxy.authority.files import write_together
from tests.support.certs import CART, CHAIN, KEY, Mesh, Pair, put, serial
from tests.support.peers import wait_until
from tests.support.sidecar import Sidecar, config, free_port, me, plain, run, service

MESH = Mesh(intermediate=True)


def text() -> str:
    port = free_port()
    return config(me(), service("app", port), plain([(port, "HTTP")]))


def issued(**options: timedelta | datetime) -> Pair:
    return MESH.issue(**options)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certs"


def shown(proxy: Sidecar) -> dict[str, str]:
    """The leaf as ``/certs`` has it."""
    (found,) = proxy.get(proxy.admin, "/certs").json["certificates"]
    leaf: dict[str, str] = found["cert_chain"][0]
    return leaf


def wait_for(proxy: Sidecar, pair: Pair) -> None:
    wanted = f"{serial(pair):x}"
    wait_until(lambda: shown(proxy)["serial_number"].lstrip("0") == wanted, "the new certificate")


def ready(proxy: Sidecar) -> str:
    answer = proxy.get(proxy.status_port, "/healthz/ready")
    return "" if answer.status == 200 else answer.text


def test_a_certificate_is_shown_in_all_its_places(folder: Path) -> None:
    pair = issued()
    put(folder, pair.files())
    with Sidecar(text(), certs=folder) as proxy:
        leaf = shown(proxy)
        assert leaf["path"] == str(folder / CHAIN)
        assert leaf["subject_alt_names"] == [{"uri": CART}]
        assert 86_000 < int(leaf["seconds_until_expiration"]) <= 86_400
        whole = proxy.get(proxy.admin, "/certs").json["certificates"][0]
        assert (len(whole["cert_chain"]), len(whole["ca_cert"])) == (2, 1)
        metrics = proxy.metrics()
        seconds = metrics.value("istio_agent_cert_expiry_seconds", resource_name="default")
        assert 86_000 < seconds <= 86_400
        assert metrics.value("meshproxy_certificate_updates_total", result="accepted") == 1
        table = run("proxy-config", "secrets", "--admin-port", str(proxy.admin)).stdout
        (row,) = [line.split() for line in table.splitlines() if line.startswith("default ")]
        assert row[1:6] == ["Cert", "Chain", "ACTIVE", "true", f"{serial(pair):x}"]
        names = proxy.get(proxy.admin, "/config_dump?resource=dynamic_active_secrets").json
        assert [each["name"] for each in names["configs"]] == ["default", "ROOTCA"]
        days = proxy.get(proxy.admin, "/stats?filter=days_until").text
        assert days == "server.days_until_first_cert_expiring: 0\n"


def test_rotations_of_every_kind(folder: Path) -> None:
    write_together(folder, issued().files(), frozenset({KEY}))
    with Sidecar(text(), certs=folder, workers=2) as proxy:
        swapped = issued()
        write_together(folder, swapped.files(), frozenset({KEY}))
        wait_for(proxy, swapped)
        # File by file, with a rest between that is long enough to be seen.
        single = issued()
        (folder / CHAIN).unlink()
        put(folder, {CHAIN: single.chain[:700]})
        proxy.wait_for_log("the last good one stays in use")
        assert shown(proxy)["serial_number"].lstrip("0") == f"{serial(swapped):x}"
        put(folder, {CHAIN: single.chain})
        proxy.wait_for_log("is not that of the certificate")
        assert ready(proxy) == ""
        (folder / KEY).unlink()
        put(folder, {KEY: single.key})
        wait_for(proxy, single)
        # A worker that is started later has it as well: it does not die of it.
        os.kill(proxy.workers()[0], 9)
        wait_until(lambda: "starting another" in proxy.log, "another worker")
        wait_until(lambda: proxy.metrics().value("meshproxy_workers") == 2, "both workers")
        assert proxy.metrics().value("meshproxy_ready") == 1


def test_an_expired_certificate_is_not_ready_until_replaced(folder: Path) -> None:
    put(folder, issued(now=datetime.now(UTC) - timedelta(days=2)).files())
    with Sidecar(text(), certs=folder, ready=False) as proxy:
        wait_until(lambda: _answers(proxy), "answers")
        wait_until(lambda: "has expired at" in ready(proxy), "the reason")
        assert "has expired at" in proxy.log
        put(folder, issued().files())
        wait_until(lambda: ready(proxy) == "", "readiness")


def test_a_named_place_without_a_certificate_is_not_ready(folder: Path) -> None:
    with Sidecar(text(), certs=folder, ready=False) as proxy:
        wait_until(lambda: _answers(proxy), "answers")
        wait_until(lambda: "cert-chain.pem is not there" in ready(proxy), "the reason")
        put(folder, issued().files())
        wait_until(lambda: ready(proxy) == "", "readiness")


def _answers(proxy: Sidecar) -> bool:
    try:
        return bool(proxy.get(proxy.status_port, "/healthz/ready").status)
    except OSError:
        return False


def test_keys_are_nowhere_to_be_found(folder: Path) -> None:
    """Of an old certificate and of a new one, and of half a key."""
    first, second = issued(), issued()
    put(folder, first.files())
    with Sidecar(text(), certs=folder, workers=2, arguments=["--log-level", "debug"]) as proxy:
        put(folder, {KEY: first.key[:150]})
        proxy.wait_for_log("no private key that can be read")
        put(folder, second.files())
        wait_for(proxy, second)
        pages = ("/config_dump?include_eds", "/certs", "/stats", "/server_info", "/memory")
        told = [proxy.get(proxy.admin, page).text for page in pages]
        told += [proxy.log, proxy.output, proxy.metrics().text, json.dumps(proxy.config_dump())]
        for pid in proxy.family():
            for name in ("environ", "cmdline"):
                told.append(Path(f"/proc/{pid}/{name}").read_bytes().decode("latin-1"))
            limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
            (core,) = [line for line in limits.splitlines() if line.startswith("Max core file")]
            assert core.split()[4:6] == ["0", "0"]
            assert int(Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0
        lines = [line for pair in (first, second) for line in pair.key.decode().splitlines()[1:-1]]
        assert len(lines) >= 6
        for text_ in told:
            assert not [line for line in lines if line in text_]
            assert "PRIVATE KEY" not in text_
