"""Policies and paths on the data path, without sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshproxy.model.listener import Application
from meshproxy.model.paths import PathNormalization
from meshproxy.model.policy import Action, Policy
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.telemetry import AccessLog
from meshproxy.plan.plan import ChainPlan
from tests.support.models import inbound, outbound
from tests.support.path import DataPath
from tests.unit.policy.build import operation, policy, source

LOG = AccessLog("/log", text="%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %REQ(:PATH)%")
DENIED = "meshproxy_authorization_denied_total"


def guarded(*policies: Policy, application: Application = Application.HTTP) -> Snapshot:
    return replace(inbound(application, access_logs=(LOG,)), authorization=policies)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()


def test_a_request_that_is_denied() -> None:
    path = DataPath(guarded(policy(operation(paths="/a"), action=Action.DENY)))
    client = path.connect("10.0.0.1:8080", "in")
    client.receive(get("/x/../a"))
    answer = client.take()
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"\r\n\r\nRBAC: access denied")
    assert path.dials() == []
    details = "rbac_access_denied_matched_policy[ns[shop]-policy[p]-rule[0]]"
    assert path.lines == [f"403 {details} /a\n"]
    assert path.plain(DENIED, "shop/p", "0", "http") == 1
    client.receive(get("/b"))
    assert path.dials() == ["10.0.0.1:8080"]


@pytest.mark.parametrize("direction", ["in", "out"])
def test_upstreams_see_the_path_that_was_judged(direction: str) -> None:
    path = DataPath(inbound() if direction == "in" else outbound())
    address = "10.0.0.1:8080" if direction == "in" else "10.1.1.1:80"
    path.connect(address, direction).receive(get("/a/../b%41\\c?d=/../"))
    assert path.dialled().take().startswith(b"GET /bA/c?d=/../ HTTP/1.1\r\n")


def test_paths_as_they_are() -> None:
    path = DataPath(replace(inbound(), path_normalization=PathNormalization.NONE))
    path.connect("10.0.0.1:8080", "in").receive(get("/a/../b"))
    assert path.dialled().take().startswith(b"GET /a/../b HTTP/1.1\r\n")


def test_what_is_no_path_is_refused() -> None:
    path = DataPath(inbound(access_logs=(LOG,)))
    client = path.connect("10.0.0.1:8080", "in")
    client.receive(get("/a%00"))
    assert client.take().startswith(b"HTTP/1.1 400 ")
    assert path.dials() == []
    assert path.lines == ["400 path_normalization_failed /a%00\n"]


def test_a_connection_that_is_denied_is_logged_and_forgotten() -> None:
    path = DataPath(guarded(policy(source(principals="*")), application=Application.TCP))
    client = path.connect("10.0.0.1:8080", "in")
    assert client.aborted
    assert client.take() == b""
    assert path.dials() == []
    client.lose()
    assert path.lines == ["0 rbac_access_denied_matched_policy[none] -\n"]
    assert path.plain(DENIED, "", "none", "tcp") == 1
    assert not path.serving.connections


def test_outbound_is_not_judged() -> None:
    path = DataPath(replace(outbound(), authorization=(policy(),)))
    path.connect().receive(get("/"))
    assert path.dials() == ["10.0.0.1:80"]


def test_who_is_silent_is_judged_by_what_it_says() -> None:
    snapshot = guarded(policy(operation(methods="GET")), application=Application.DETECT)
    path = DataPath(snapshot)
    web, opaque = (path.connect("10.0.0.1:8080", "in") for _ in range(2))
    path.loop.advance(1.0)
    assert path.dials() == [], "for an opaque connection, which is denied"
    assert not web.aborted
    web.receive(get("/"))
    assert path.dials() == ["10.0.0.1:8080"]
    opaque.receive(b"\x00\x01")
    assert opaque.aborted
    assert path.plain(DENIED, "", "none", "tcp") == 1
    assert len(path.dials()) == 1


def test_policies_are_compiled_once_for_the_same_configuration() -> None:
    snapshot = guarded(policy())
    path = DataPath(snapshot)
    chains = []
    for _ in range(2):
        chains.append(_only(path))
        path.configure(snapshot)
    assert chains[0].authorize_http is chains[1].authorize_http
    path.configure(guarded(policy(), policy(name="q")))
    assert _only(path).authorize_http is not chains[0].authorize_http


def _only(path: DataPath) -> ChainPlan:
    return path.plans.current.listeners["in"].by_port[8080]
