"""What the HTTP/2 loads send and read, and the app that they call."""

from __future__ import annotations

from pathlib import Path

import hpack
import pytest

from benchmarks.load.frames import (
    DATA,
    HEADERS,
    Reader,
    block,
    frame,
    headers,
    message,
    open_window,
)
from benchmarks.load.h2load import parse_h2load
from benchmarks.load.messages import generate
from benchmarks.load.result import LoadError, LoadResult
from benchmarks.machine.ports import Ports
from benchmarks.peers.frames_app import start_frames_app

_OUTPUT = """\
finished in 2.01s, 1500.00 req/s, 1.59MB/s
requests: 30 total, 30 started, 3000 done, {good} succeeded, {bad} failed, {errored} errored, 0 x
status codes: {good} 2xx, 0 3xx, 0 4xx, {bad} 5xx
"""
_LOG = "".join(f"17000000\t200\t{time}\n" for time in range(1, 101))


def test_h2load_that_had_no_errors() -> None:
    found = parse_h2load(_OUTPUT.format(good=3000, bad=0, errored=0), 2, _LOG)
    assert found == LoadResult(3000, 2, pytest.approx(50, abs=1), pytest.approx(99, abs=1), {})


def test_h2load_that_had_errors() -> None:
    found = parse_h2load(_OUTPUT.format(good=2900, bad=100, errored=3), 2, _LOG)
    assert found.requests == 2900
    assert found.errors == {"status": 100, "read": 3}


@pytest.mark.parametrize("text", ["", _OUTPUT.format(good=0, bad=3000, errored=0)])
def test_h2load_without_answers(text: str) -> None:
    with pytest.raises(LoadError):
        parse_h2load(text, 2, "")


@pytest.mark.parametrize("size", [0, 126, 127, 128, 254, 255, 256, 1000])
def test_header_blocks(size: int) -> None:
    fields = [(":status", "200"), ("x-long", "v" * size)]
    assert hpack.Decoder().decode(block(*fields)) == fields


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_frames_in_pieces(step: int) -> None:
    data = b"preface" + headers(1, b"block", end=True) + frame(DATA, 0, 3, b"x" * 300)
    data += open_window(5)
    reader = Reader(len(b"preface"))
    found = [each for at in range(0, len(data), step) for each in reader.feed(data[at : at + step])]
    assert found[:2] == [(HEADERS, 5, 1, b"block"), (DATA, 0, 3, b"x" * 300)]
    assert found[2][3] == b"\0\0\0\5"


def test_messages() -> None:
    assert message(b"hello") == b"\0\0\0\0\5hello"


def test_the_streaming_load_and_the_app(tmp_path: Path) -> None:
    process, v1, _ = start_frames_app(tmp_path, Ports(), ())
    with process:
        process.wait_for_port(v1)
        found = generate(v1, 0.3)
    assert found.requests > 100
    assert not found.errors
