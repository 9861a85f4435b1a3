"""HTTP/1 connections: kept alive on both sides, shared by requests, pipelined, of both versions."""

from __future__ import annotations

import pytest

from tests.live.conftest import Scene
from tests.support.peers import Peer, ask, peers, request, say, wait_until


def test_a_connection_carries_many_requests(scene: Scene) -> None:
    with scene.client() as client:
        answers = [client.ask(f"/?{at}") for at in range(20)]
    assert [answer.seen.target for answer in answers] == [f"/?{at}" for at in range(20)]
    assert all(not answer.has("connection", "close") for answer in answers)


def test_upstream_connections_are_used_again(scene: Scene) -> None:
    """Clients one after the other share what a worker has open, whoever's connection it was."""
    before = scene.app.accepted
    for _ in range(20):
        assert ask(scene.outbound).status == 200
    assert scene.app.accepted - before <= scene.proxy.workers_wanted


def test_each_request_in_flight_has_a_connection(scene: Scene) -> None:
    app = scene.app
    app.released.clear()
    before = app.count("/hold")
    with peers(8, scene.outbound) as clients:
        for client in clients:
            client.send(request(path="/hold"))
        wait_until(lambda: app.count("/hold") == before + 8, "all of them to reach the app")
        app.released.set()
        assert [client.answer().text for client in clients] == ["released app"] * 8


@pytest.mark.parametrize("count", [2, 50])
def test_pipelined_requests_are_answered_in_order(scene: Scene, count: int) -> None:
    with scene.client() as client:
        client.send(b"".join(request(path=f"/?{at}") for at in range(count)))
        targets = [client.answer().seen.target for _ in range(count)]
    assert targets == [f"/?{at}" for at in range(count)]


def test_pipelined_requests_of_many_kinds(scene: Scene) -> None:
    """Bodies of each framing, no body at all, and answers made here, all in one segment."""
    chunked = [("Transfer-Encoding", "chunked")]
    with scene.client() as client:
        client.send(
            request("POST", "/?1", body=b"one")
            + request("POST", "/?2", headers=chunked)
            + b"3\r\ntwo\r\n0\r\n\r\n"
            + request("HEAD", "/status?code=200&length=7")
            + request("GET", "/?4", host="unknown.example")
            + request("GET", "/slow?ms=50")
            + request("GET", "/?6")
        )
        assert client.answer().seen.body == b"one"
        assert client.answer().seen.body == b"two"
        assert client.answer("HEAD").get("content-length") == "7"
        assert client.answer().status == 502
        assert client.answer().text == "slow"
        assert client.answer().seen.target == "/?6"


def test_a_request_may_come_byte_by_byte(scene: Scene) -> None:
    with scene.client() as client:
        for byte in request("POST", "/", body=b"slowly"):
            client.send(bytes([byte]))
        assert client.answer().seen.body == b"slowly"


def test_empty_lines_before_a_request_are_skipped(scene: Scene) -> None:
    """RFC 9112 section 2.2."""
    assert say(scene.outbound, b"\r\n\r\n" + request()).status == 200


def test_connection_close_of_the_client_is_kept_to(scene: Scene) -> None:
    with scene.client() as client:
        answer = client.ask(headers=[("Connection", "close")])
        assert answer.has("connection", "close")
        assert client.ending() == "end"
    # It is the client's business alone: the upstream connection lives on.
    assert not answer.seen.has("connection", "close")


def test_connection_close_of_the_server_is_its_own_business(scene: Scene) -> None:
    with scene.client() as client:
        answer = client.ask("/until-close?body=all-of-it")
        assert answer.text == "all-of-it"
        assert not answer.has("connection", "close")
        assert client.ask().status == 200


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        pytest.param("", False, id="as it was"),
        pytest.param("Connection: keep-alive\r\n", True, id="keep-alive"),
        pytest.param("Connection: close\r\n", False, id="close"),
    ],
)
def test_clients_of_http10(scene: Scene, headers: str, kept: bool) -> None:
    with scene.client() as client:
        text = f"GET /? HTTP/1.0\r\nHost: app\r\n{headers}\r\n"
        answer = client.send(text).answer()
        assert answer.status == 200
        assert answer.seen.version == "1.1", "the upstream speaks 1.1 with us, not with the client"
        assert answer.has("connection", "keep-alive") == kept
        if kept:
            assert client.send(text).answer().status == 200
        else:
            assert client.ending() == "end"


def test_a_client_of_http10_never_sees_chunks(scene: Scene) -> None:
    with scene.client() as client:
        text = "GET /chunked?of=ab,cd HTTP/1.0\r\nHost: app\r\nConnection: keep-alive\r\n\r\n"
        answer = client.send(text).answer()
    assert answer.get("transfer-encoding") is None
    assert answer.body == b"abcd"
    assert answer.has("connection", "close"), "without chunks the end must be the connection's"


def test_a_client_of_http10_is_spared_interim_answers(scene: Scene) -> None:
    """RFC 9110 section 15.2."""
    answer = say(scene.outbound, "GET /hints HTTP/1.0\r\nHost: app\r\n\r\n")
    assert answer.text == "done"
    assert answer.interim == []


@pytest.mark.parametrize(("path", "body"), [("/http10", "old"), ("/http10?keep", "kept")])
def test_servers_of_http10(scene: Scene, path: str, body: str) -> None:
    with scene.client() as client:
        for _ in range(3):
            answer = client.ask(path)
            assert (answer.version, answer.text) == ("1.1", body)


def test_a_server_of_http10_may_keep_its_connection(scene: Scene) -> None:
    before = scene.app.accepted
    for _ in range(5):
        assert ask(scene.outbound, "/http10?keep").status == 200
    assert scene.app.accepted - before <= scene.proxy.workers_wanted


def test_an_answer_without_length_gets_chunks(scene: Scene) -> None:
    """So that the client's connection survives, and a cut-off answer is seen to be one."""
    answer = ask(scene.outbound, "/until-close?body=abc")
    assert answer.has("transfer-encoding", "chunked")
    assert answer.body == b"abc"


def test_a_client_that_leaves_takes_its_request_along(scene: Scene) -> None:
    """The upstream sees its connection close, and the log says why there was no answer."""
    app = scene.app
    with scene.client() as client:
        client.send(request(path="/never?left"))
        wait_until(lambda: app.count("/never"), "the request to reach the app")
        assert not app.left
    wait_until(lambda: app.left, "the app to be told")
    assert " 0 DC downstream_remote_disconnect " in scene.proxy.access("/never?left")


def test_many_clients_at_once(scene: Scene) -> None:
    with peers(100, scene.outbound) as clients:
        for round_ in range(3):
            for at, client in enumerate(clients):
                client.send(request(path=f"/?{round_}-{at}"))
            for at, client in enumerate(clients):
                assert client.answer().seen.target == f"/?{round_}-{at}"


def test_the_inbound_side_does_the_same(scene: Scene) -> None:
    with Peer.connect(scene.inbound) as client:
        client.send(request(path="/?1") + request("POST", "/?2", body=b"x") + request(path="/?3"))
        assert [client.answer().seen.target for _ in range(3)] == ["/?1", "/?2", "/?3"]
