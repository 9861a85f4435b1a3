"""HTTP/1 messages: bodies of every framing both ways, trailers, interim answers, no body at all."""

from __future__ import annotations

import pytest

from tests.live.conftest import Scene
from tests.support.peers import Ended, ask, request, say, wait_until

CHUNKED = [("Transfer-Encoding", "chunked")]


@pytest.mark.parametrize("size", [1, 1000, 65_536, 1_000_003])
def test_bodies_of_known_length_pass_as_they_are(scene: Scene, size: int) -> None:
    body = bytes(at % 251 for at in range(size))
    seen = ask(scene.outbound, "/", "POST", body=body).seen
    assert seen.get("content-length") == str(size)
    assert seen.get("transfer-encoding") is None
    assert seen.body == body


def test_an_empty_body_of_known_length(scene: Scene) -> None:
    seen = ask(scene.outbound, "/", "POST", headers=[("Content-Length", "0")]).seen
    assert seen.get("content-length") == "0"
    assert seen.body == b""


def test_chunked_requests_stay_chunked(scene: Scene) -> None:
    with scene.client() as client:
        client.send(request("POST", "/", headers=CHUNKED))
        client.send(b"5\r\nhello\r\n")
        client.send(b"7;name=value\r\n, world\r\n0\r\n\r\n")
        seen = client.answer().seen
        assert seen.has("transfer-encoding", "chunked")
        assert seen.get("content-length") is None
        assert seen.body == b"hello, world"
        assert seen.trailers == []
        assert client.ask().status == 200, "the connection goes on"


def test_trailers_of_requests(scene: Scene) -> None:
    headers = [*CHUNKED, ("Trailer", "X-Sum")]
    text = request("POST", "/", headers=headers) + b"2\r\nab\r\n0\r\nX-Sum: 2\r\nX-More: m\r\n\r\n"
    seen = say(scene.outbound, text).seen
    assert seen.body == b"ab"
    assert seen.trailers == [("X-Sum", "2"), ("X-More", "m")]
    assert seen.get("trailer") == "X-Sum"


def test_chunked_answers_and_their_trailers(scene: Scene) -> None:
    with scene.client() as client:
        answer = client.ask("/chunked?of=one,two,three")
        assert answer.has("transfer-encoding", "chunked")
        assert answer.body == b"onetwothree"
        assert answer.trailers == [("X-Sum", "11"), ("X-App", "app")]
        assert client.ask().status == 200, "the connection goes on"


def test_an_answer_is_passed_on_as_it_comes(scene: Scene) -> None:
    """What has come is not held back until the rest has."""
    scene.app.released.clear()
    with scene.client() as client:
        client.send(request(path="/drip"))
        assert client.head().status == 200
        assert client.exactly(1) == b"d"
        scene.app.released.set()
        assert client.exactly(4) == b"ripp"


def test_a_request_is_passed_on_as_it_comes(scene: Scene) -> None:
    """Its head reaches the app before its body has ended."""
    app = scene.app
    with scene.client() as client:
        before = app.count("/")
        client.send(request("POST", "/?early", headers=[("Content-Length", "4")]) + b"ab")
        wait_until(lambda: app.count("/") > before, "the head to reach the app")
        assert client.silent(0.05)
        client.send(b"cd")
        assert client.answer().seen.body == b"abcd"


# Expect: 100-continue.


def test_expect_is_forwarded_and_so_is_100(scene: Scene) -> None:
    with scene.client() as client:
        headers = [("Content-Length", "4"), ("Expect", "100-continue")]
        client.send(request("POST", "/", headers=headers))
        interim = client.head()
        assert interim.status == 100
        client.send(b"body")
        answer = client.answer()
        assert answer.seen.body == b"body"
        assert answer.seen.get("expect") == "100-continue"
        assert client.ask().status == 200, "the connection goes on"


def test_100_is_the_servers_to_give(scene: Scene) -> None:
    """A proxy that promises for the server makes the client send what nobody wants."""
    with scene.client() as client:
        headers = [("Content-Length", "4"), ("Expect", "100-continue")]
        client.send(request("POST", "/never?expect", headers=headers))
        assert client.silent(0.2)


def test_a_final_answer_instead_of_100(scene: Scene) -> None:
    """The client gets it, need not send the body, and the connection ends in good order."""
    with scene.client() as client:
        headers = [("Content-Length", "4"), ("Expect", "100-continue")]
        client.send(request("POST", "/refuse", headers=headers))
        answer = client.answer()
        assert (answer.status, answer.text, answer.interim) == (417, "not that", [])
        assert client.ending() == "end"


def test_an_answer_before_the_body_has_ended(scene: Scene) -> None:
    """It reaches the client whole, although the rest of the body is not wanted."""
    with scene.client() as client:
        client.send(request("POST", "/refuse", headers=[("Content-Length", "1000000")]))
        client.send(b"x" * 1000)
        answer = client.answer()
        assert (answer.status, answer.text) == (417, "not that")
        client.send_quietly(b"x" * 1000)
        assert client.ending() == "end"


# 1xx, and answers without a body.


def test_interim_answers_are_passed_on(scene: Scene) -> None:
    answer = ask(scene.outbound, "/hints")
    assert [each.status for each in answer.interim] == [102, 103]
    assert answer.interim[1].get("link") == "</a.css>; rel=preload"
    assert (answer.status, answer.text) == (200, "done")


def test_head_has_the_length_and_no_body(scene: Scene) -> None:
    with scene.client() as client:
        answer = client.ask("/status?code=200&length=1234", "HEAD")
        assert (answer.status, answer.get("content-length")) == (200, "1234")
        assert client.ask().status == 200, "nothing of a body stands in between"


@pytest.mark.parametrize("code", [204, 304])
def test_answers_that_never_have_a_body(scene: Scene, code: int) -> None:
    with scene.client() as client:
        answer = client.ask(f"/status?code={code}")
        assert answer.status == code
        assert answer.get("etag") == '"e"'
        assert answer.get("transfer-encoding") is None
        assert client.ask().status == 200


def test_a_local_answer_to_head_has_no_body(scene: Scene) -> None:
    with scene.client() as client:
        answer = client.ask("/", "HEAD", host="unknown.example")
        assert answer.status == 502
        assert client.ask().status == 200


@pytest.mark.parametrize("code", [201, 299, 301, 404, 418, 500, 503, 599])
def test_every_status_passes(scene: Scene, code: int) -> None:
    answer = ask(scene.outbound, f"/status?code={code}&body=b")
    assert (answer.status, answer.text) == (code, "b")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "PURGE", "M-SEARCH", "X"])
def test_every_method_passes(scene: Scene, method: str) -> None:
    assert ask(scene.outbound, "/a/b?c=d", method).seen.start == f"{method} /a/b?c=d HTTP/1.1"


def test_options_of_the_server_itself(scene: Scene) -> None:
    assert ask(scene.outbound, "*", "OPTIONS").seen.start == "OPTIONS * HTTP/1.1"


def test_targets_pass_byte_for_byte(scene: Scene) -> None:
    """Nothing is decoded, folded or put in order on the way, where the path is in its one spelling
    already. (What is done with others: tests/unit/wire/test_paths.py.)"""
    target = "/a%2Fb//c/d;p=1?x=%20&y=a+b&&z=/../"
    assert ask(scene.outbound, target).seen.target == target


# Ends in the middle.


@pytest.mark.parametrize("path", ["/partial", "/partial?reset", "/partial-chunked"])
def test_an_answer_that_breaks_off_is_not_made_whole(scene: Scene, path: str) -> None:
    """The client must be able to tell: it sees its connection break, not an end."""
    with scene.client() as client:
        client.send(request(path=path))
        with pytest.raises((Ended, ConnectionResetError)):
            client.answer()
    line = scene.proxy.access(f"{path} ")
    assert " 200 UC " in line
    assert "upstream_reset_after_response_started{connection_termination}" in line


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            request("POST", "/?cut", headers=[("Content-Length", "9")]) + b"cut", id="length"
        ),
        pytest.param(request("POST", "/?cut", headers=CHUNKED) + b"3\r\ncut\r\n", id="chunked"),
    ],
)
def test_a_request_that_breaks_off_is_not_made_whole(scene: Scene, text: bytes) -> None:
    """The app sees its connection break: it never gets a body that looks complete."""
    app = scene.app
    asked, cut_off = app.count("/"), app.cut_off
    with scene.client() as client:
        client.send(text)
        wait_until(lambda: app.count("/") > asked, "the head to reach the app")
    wait_until(lambda: app.cut_off > cut_off, "the app to see its connection break")


def test_a_broken_chunk_in_the_middle_of_a_body(scene: Scene) -> None:
    """400 with a sentence, then an end."""
    with scene.client() as client:
        client.send(request("POST", "/?broken", headers=CHUNKED) + b"3\r\nabc\r\nzz\r\n")
        answer = client.answer()
        assert answer.status == 400
        assert answer.has("connection", "close")
        assert answer.text.startswith("malformed request: ")
        assert client.ending() == "end"
