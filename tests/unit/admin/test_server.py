"""The small server for the sidecar's own ports."""

from __future__ import annotations

import asyncio

import pytest

from meshproxy.admin.health import health_routes
from meshproxy.admin.server import AdminServer, Answer, Request, Routes
from meshproxy.listen.sockets import listen_on


def routes() -> Routes:
    made = Routes()

    async def read(request: Request) -> Answer:
        return Answer(f"{request.query.get('x', 'nothing')}\n")

    async def change(request: Request) -> Answer:
        return Answer("changed\n")

    async def broken(request: Request) -> Answer:
        raise RuntimeError("on purpose")

    made.add("/read", read)
    made.add("/change", change, post=True)
    made.add("/broken", broken)
    return made


def talk(what: Routes, *requests: bytes) -> list[bytes]:
    """Send requests on one connection; what came back after each."""

    async def run() -> list[bytes]:
        server = AdminServer(asyncio.get_running_loop(), what)
        sock = listen_on("127.0.0.1", 0)
        await server.start([sock])
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        answers = []
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            without_body = request.startswith(b"HEAD")
            answers.append(head + (b"" if without_body else await reader.readexactly(length)))
        writer.close()
        server.close()
        return answers

    return asyncio.run(asyncio.wait_for(run(), 10))


def get(path: str, method: str = "GET", extra: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{extra}\r\n".encode()


@pytest.mark.parametrize(
    ("request_bytes", "status", "body"),
    [
        (get("/read?x=1"), 200, b"1\n"),
        (get("/read"), 200, b"nothing\n"),
        (get("/none"), 404, b"there is no /none here; / lists what there is\n"),
        (get("/change"), 405, b"/change changes something: use POST\n"),
        (get("/change", "POST"), 200, b"changed\n"),
        (get("/read", "DELETE"), 405, b"/read is only read: use GET\n"),
        (get("/read", "POST", "Content-Length: 3\r\n"), 413, b"requests with a body"),
        (b"nonsense\r\n\r\n", 400, b"not an HTTP/1"),
    ],
)
def test_answers(request_bytes: bytes, status: int, body: bytes) -> None:
    (answer,) = talk(routes(), request_bytes)
    head, _, got = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert got.startswith(body)


def test_a_connection_is_kept_and_head_has_no_body() -> None:
    first, second, third = talk(routes(), get("/read"), get("/read", "HEAD"), get("/read?x=3"))
    assert first.endswith(b"nothing\n")
    assert second.endswith(b"\r\n\r\n")
    assert third.endswith(b"3\n")


def test_a_handler_that_fails_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    (answer,) = talk(routes(), get("/broken"))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert "on purpose" in caplog.text
    assert b"on purpose" not in answer


def test_readiness_gives_its_reason() -> None:
    state = ["waiting for the first configuration"]
    what = health_routes(lambda: state[0])
    (answer,) = talk(what, get("/healthz/ready"))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"not ready: waiting for the first configuration\n")
    state[0] = ""
    (answer,) = talk(what, get("/healthz/ready"))
    assert answer.startswith(b"HTTP/1.1 200 ")
