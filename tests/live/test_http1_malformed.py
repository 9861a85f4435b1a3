"""Requests that break the rules: 400 with a sentence and an end. Never a guess, never a hang."""

from __future__ import annotations

import pytest

from tests.live.conftest import Scene
from tests.support.peers import Peer, ask, request, say

HOST = "Host: app\r\n"
GET = "GET / HTTP/1.1\r\n"
POST = "POST /? HTTP/1.1\r\nHost: app\r\n"

MALFORMED = [
    pytest.param("GET /\r\n\r\n", id="no version"),
    pytest.param("GET / HTTP/1.1 \r\n" + HOST + "\r\n", id="blank after the version"),
    pytest.param("GET  / HTTP/1.1\r\n" + HOST + "\r\n", id="two blanks"),
    pytest.param("GET\t/ HTTP/1.1\r\n" + HOST + "\r\n", id="tab for a blank"),
    pytest.param("G\x00T / HTTP/1.1\r\n" + HOST + "\r\n", id="NUL in the method"),
    pytest.param("G(T / HTTP/1.1\r\n" + HOST + "\r\n", id="bracket in the method"),
    pytest.param("GET /a b HTTP/1.1\r\n" + HOST + "\r\n", id="blank in the target"),
    pytest.param("GET a HTTP/1.1\r\n" + HOST + "\r\n", id="target without slash"),
    pytest.param("GET * HTTP/1.1\r\n" + HOST + "\r\n", id="asterisk for another method"),
    pytest.param("GET ftp://app/ HTTP/1.1\r\n" + HOST + "\r\n", id="foreign scheme"),
    pytest.param("GET http:///a HTTP/1.1\r\n" + HOST + "\r\n", id="URL without host"),
    pytest.param("GET http://a b/ HTTP/1.1\r\n" + HOST + "\r\n", id="blank in the URL"),
    pytest.param("CONNECT / HTTP/1.1\r\n" + HOST + "\r\n", id="CONNECT to a path"),
    pytest.param("GET / HTTP/1.1\r\n\r\n", id="no Host"),
    pytest.param(GET + HOST + "Host: other\r\n\r\n", id="two Hosts"),
    pytest.param(GET + "Host: a b\r\n\r\n", id="blank in Host"),
    pytest.param(GET + "Host: a/b\r\n\r\n", id="slash in Host"),
    pytest.param(GET + "Host: a@b\r\n\r\n", id="user in Host"),
    pytest.param(GET + HOST + "X Y: 1\r\n\r\n", id="blank in a name"),
    pytest.param(GET + HOST + "X-Y : 1\r\n\r\n", id="blank before the colon"),
    pytest.param(GET + HOST + ": 1\r\n\r\n", id="empty name"),
    pytest.param(GET + HOST + "X-Y\r\n\r\n", id="no colon"),
    pytest.param(GET + HOST + "X-Y: 1\r\n folded\r\n\r\n", id="folded line"),
    pytest.param(GET + " X: 1\r\n" + HOST + "\r\n", id="folded first line"),
    pytest.param(GET + HOST + "X-Y: a\x00b\r\n\r\n", id="NUL in a value"),
    pytest.param(GET + HOST + "X-Y: a\x0bb\r\n\r\n", id="control in a value"),
    pytest.param(GET + HOST + "X-Y: a\rb\r\n\r\n", id="bare CR in a value"),
    pytest.param(GET + "Host: app\n\r\n", id="bare LF in the middle"),
    pytest.param("GET / HTTP/1.1\nHost: app\n\n", id="LF all along"),
    pytest.param(POST + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two lengths"),
    pytest.param(POST + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", id="length repeated"),
    pytest.param(POST + "Content-Length: 1, 1\r\n\r\na", id="list of lengths"),
    pytest.param(POST + "Content-Length: +1\r\n\r\na", id="length with sign"),
    pytest.param(POST + "Content-Length: 0x1\r\n\r\na", id="hexadecimal length"),
    pytest.param(POST + "Content-Length: 1 1\r\n\r\na", id="blank in the length"),
    pytest.param(POST + "Content-Length:\r\n\r\n", id="empty length"),
    pytest.param(POST + "Content-Length: 99999999999999999999\r\n\r\n", id="length past 64 bits"),
    pytest.param(
        POST + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", id="TE and CL"
    ),
    pytest.param(
        POST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="CL and TE"
    ),
    pytest.param(
        "POST / HTTP/1.0\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        id="TE in HTTP/1.0",
    ),
    pytest.param(POST + "Transfer-Encoding: chunked\r\n\r\nx\r\n", id="size not a number"),
    pytest.param(POST + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", id="negative size"),
    pytest.param(POST + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n", id="size with 0x"),
    pytest.param(POST + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n", id="size ends in LF"),
    pytest.param(POST + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", id="chunk too long"),
    pytest.param(
        POST + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffffffffff\r\n",
        id="size past 96 bits",
    ),
    pytest.param(POST + "Transfer-Encoding: chunked\r\n\r\n0\r\nX Y: 1\r\n\r\n", id="bad trailer"),
    pytest.param("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="TLS"),
    pytest.param("\x00\x00\x00\x00\r\n\r\n", id="binary"),
    pytest.param("SSH-2.0-OpenSSH_9.2p1\r\n\r\n", id="SSH"),
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_request_gets_400_and_an_end(scene: Scene, text: str) -> None:
    with scene.client() as client:
        client.send(text)
        answer = client.answer()
        assert answer.status == 400
        assert answer.text.startswith("malformed request: ")
        assert len(answer.text) > len("malformed request: ")
        assert answer.has("connection", "close")
        assert client.ending() == "end"


@pytest.mark.parametrize("text", MALFORMED)
def test_nothing_of_it_reaches_the_app_as_a_request_of_its_own(scene: Scene, text: str) -> None:
    """What follows on the same connection is not read any more."""
    app = scene.app
    smuggled = request("GET", "/smuggled")
    with scene.client() as client:
        client.send(text.encode("latin-1") + smuggled)
        assert client.answer().status == 400
        client.ending()
    # A request later, on a connection that might have been poisoned.
    assert ask(scene.outbound, "/?clean").seen.target == "/?clean"
    assert app.count("/smuggled") == 0


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param("GET / HTTP/2.0\r\nHost: app\r\n\r\n", 505, id="HTTP/2.0"),
        pytest.param("GET / HTTP/1.2\r\nHost: app\r\n\r\n", 505, id="HTTP/1.2"),
        pytest.param("GET / HTTP/0.9\r\nHost: app\r\n\r\n", 505, id="HTTP/0.9"),
        pytest.param(POST + "Transfer-Encoding: gzip\r\n\r\n", 501, id="another coding"),
        pytest.param(POST + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, id="two codings"),
        pytest.param(POST + "Transfer-Encoding: chunked, chunked\r\n\r\n", 501, id="chunked twice"),
        pytest.param(POST + "Transfer-Encoding: xchunked\r\n\r\n", 501, id="almost chunked"),
    ],
)
def test_what_http_has_a_status_of_its_own_for(scene: Scene, text: str, status: int) -> None:
    with scene.client() as client:
        answer = client.send(text).answer()
        assert answer.status in (status, 400)
        assert answer.has("connection", "close")
        assert client.ending() == "end"


def test_it_is_logged_and_counted(scene: Scene) -> None:
    counter = "meshproxy_downstream_protocol_errors_total"
    before = scene.proxy.metrics().value(counter)
    with scene.client("127.0.0.21") as client:
        own = "{}:{}".format(*client.own_name)
        assert client.send("GET /\r\n\r\n").answer().status == 400
    line = scene.proxy.access(own)
    assert " 400 DPE http1.codec_error " in line
    assert scene.proxy.metrics().value(counter) == before + 1


def test_good_requests_before_a_bad_one_are_answered(scene: Scene) -> None:
    with scene.client() as client:
        client.send(request(path="/?first") + b"bad\r\n\r\n" + request(path="/?third"))
        assert client.answer().seen.target == "/?first"
        assert client.answer().status == 400
        assert client.ending() == "end"
        assert client.buffer == b""


def test_bytes_behind_a_bad_request_do_not_cost_the_answer(scene: Scene) -> None:
    """Closing with unread bytes sends a reset, which would overtake the 400."""
    with scene.client() as client:
        client.send(b"bad\r\n\r\n" + b"x" * 200_000)
        assert client.answer().status == 400


# An upstream that breaks the rules.


@pytest.mark.parametrize(
    "text",
    [
        "not HTTP at all\r\n\r\n",
        "HTTP/1.1 20 Short\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Y: 1\r\n folded\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
    ],
)
def test_an_answer_that_is_malformed_is_502(scene: Scene, text: str) -> None:
    from urllib.parse import quote

    path = f"/raw?text={quote(text)}"
    answer = ask(scene.outbound, path)
    assert answer.status == 502
    assert "protocol error" in answer.text
    assert " 502 UPE " in scene.proxy.access(path)


# Limits.


def many(count: int, size: int = 1) -> list[tuple[str, str]]:
    return [(f"X-{at}", "v" * size) for at in range(count)]


@pytest.mark.parametrize(("count", "status"), [(99, 200), (100, 431), (500, 431)])
def test_the_number_of_headers_is_bounded(scene: Scene, count: int, status: int) -> None:
    """100 with Host."""
    with scene.client() as client:
        answer = client.ask("/", headers=many(count))
        assert answer.status == status
        if status == 431:
            assert "100 headers" in answer.text
            assert client.ending() == "end"


@pytest.mark.parametrize(("size", "status"), [(59_000, 200), (62_000, 431), (1_000_000, 431)])
def test_the_size_of_headers_is_bounded(scene: Scene, size: int, status: int) -> None:
    """60 KiB."""
    with scene.client() as client:
        client.send_quietly(request("GET", "/", headers=[("X-Big", "v" * size)]))
        answer = client.answer()
        assert answer.status == status
        if status == 431:
            assert "61440 bytes" in answer.text
            assert client.ending() == "end"


def test_a_target_counts_as_header(scene: Scene) -> None:
    with scene.client() as client:
        client.send_quietly(request("GET", "/" + "a" * 62_000))
        assert client.answer().status == 431


def test_headers_that_do_not_end_are_cut_off_at_the_limit(scene: Scene) -> None:
    """Not collected until memory ends."""
    with scene.client() as client:
        client.send(GET + HOST)
        for at in range(2000):
            if not client.send_quietly(f"X-{at}: {'v' * 100}\r\n".encode()):
                break
        assert client.answer().status == 431


def test_trailers_are_bounded(scene: Scene) -> None:
    with scene.client() as client:
        client.send(POST + "Transfer-Encoding: chunked\r\n\r\n0\r\n")
        for at in range(2000):
            if not client.send_quietly(f"X-{at}: {'v' * 100}\r\n".encode()):
                break
        client.send_quietly(b"\r\n")
        assert client.answer().status in (400, 431)


@pytest.mark.parametrize("path", ["/many-fields?n=101", "/many-fields?n=1&size=90000"])
def test_the_headers_of_answers_are_bounded(scene: Scene, path: str) -> None:
    answer = ask(scene.outbound, path)
    assert answer.status == 503
    assert "headers too large" in answer.text
    assert " 503 UPE " in scene.proxy.access(path)


@pytest.mark.parametrize("path", ["/many-fields?n=95", "/many-fields?n=1&size=70000"])
def test_large_headers_of_answers_pass(scene: Scene, path: str) -> None:
    assert ask(scene.outbound, path).status == 200


def test_the_inbound_side_is_as_strict(scene: Scene) -> None:
    with Peer.connect(scene.inbound) as client:
        assert client.send("GET /\r\n\r\n").answer().status == 400
    assert say(scene.inbound, POST + "Content-Length: 1, 1\r\n\r\na").status == 400
    assert ask(scene.inbound, headers=many(100)).status == 431
