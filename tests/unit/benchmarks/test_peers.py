"""What the proxies are told to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.machine.ports import Ports
from benchmarks.peers import chain, envoy, meshproxy
from benchmarks.peers.peer import Place
from benchmarks.peers.upstream import BODY_BYTES, body
from meshproxy.model.snapshot import Snapshot
from meshproxy.translate import Options, SourceText, Translator


def translated(log: str, protocol: str) -> Snapshot:
    text = meshproxy.configuration(9100, (9001, 9002), log, protocol)
    options = Options(workload=("default", "front"))
    translation = Translator(options).run([SourceText("mesh.yaml", text)])
    assert translation.snapshot is not None, translation.problems
    return translation.snapshot


@pytest.mark.parametrize("protocol", ["http", "tcp"])
@pytest.mark.parametrize("log", ["json", "text", "off"])
def test_our_configuration_is_taken(log: str, protocol: str) -> None:
    snapshot = translated(log, protocol)
    assert 9100 in {listener.port for listener in snapshot.listeners.values()}
    ports = {e.address.port for c in snapshot.clusters.values() for e in c.endpoints}
    assert {9001, 9002} <= ports
    assert bool(snapshot.access_logs) is (log != "off")


def test_envoy_logs_what_we_log(tmp_path: Path) -> None:
    place = Place(tmp_path, Ports(), (), 1, (9001, 9002))
    config = envoy.configuration(place, 9200, "json")
    (listener,) = config["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    (log,) = manager["access_log"]
    ours = translated("json", "http").access_logs[0]
    assert log["typed_config"]["log_format"]["json_format"] == dict(ours.json)
    assert log["typed_config"]["path"] == ours.path
    json.dumps(config)


def test_both_ends_of_the_chain_are_taken() -> None:
    text = meshproxy.configuration(9100, (9001, 9002), "json", "http", account="inv")
    inbound = chain.inbound_configuration((9001, 9002), (9003, 9004))
    for workload, documents in (("front", text), ("inv", inbound)):
        translation = Translator(Options(workload=("default", workload))).run(
            [SourceText("mesh.yaml", documents)]
        )
        assert translation.snapshot is not None, translation.problems


def test_remarks_are_what_has_no_effect() -> None:
    peer = meshproxy.meshproxy()
    stderr = (
        "2026 INFO supervisor: ready\n"
        "2026 WARNING supervisor: /tmp/x/mesh.yaml:38: warning: spec.a: is not here"
        " and has no effect\n"
    )
    assert peer.remarks(stderr) == ["spec.a: is not here and has no effect"]


def test_answers_are_a_kibibyte_and_say_who_gave_them() -> None:
    assert len(body("v1")) == BODY_BYTES == 1024
    assert body("v2").startswith("v2")


def test_ports_are_given_once() -> None:
    ports = Ports()
    taken = [ports.take() for _ in range(50)]
    assert len(set(taken)) == 50
