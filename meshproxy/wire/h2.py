"""What an HTTP/2 codec is: bytes and calls in, events and bytes out (RFC 9113).

A codec belongs to one connection and knows its frames, header compression, stream states and
windows. Whoever holds it writes what `take` returns to the transport. Headers are lists of byte
pairs, pseudo-headers first.

    for event in codec.receive(data): ...
    codec.send_headers(stream_id, headers, end=False)
    transport.write(codec.take())
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, final

from meshproxy.wire.heads import (
    Headers,
)


class Code(Enum):
    """Error codes (RFC 9113 section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11


class Event:
    """Plain classes: one or several are made for each frame, and asked for by `isinstance`."""

    def parts(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.parts()}"


@final
class HeadersCame(Event):
    """A request, an answer, or an interim answer; ``end``: nothing follows. ``too_large``: a
    request that was over the bound, and has not been kept whole."""

    def __init__(
        self, stream_id: int, headers: Headers, end: bool, too_large: bool = False
    ) -> None:
        self.stream_id = stream_id
        self.headers = headers
        self.end = end
        self.too_large = too_large

    def parts(self) -> tuple[Any, ...]:
        return self.stream_id, self.headers, self.end, self.too_large


@final
class DataCame(Event):
    """``counted``: bytes that the windows shrank by, padding included; see `Codec.consumed`."""

    def __init__(self, stream_id: int, data: bytes, counted: int) -> None:
        self.stream_id = stream_id
        self.data = data
        self.counted = counted

    def parts(self) -> tuple[Any, ...]:
        return self.stream_id, self.data, self.counted


@final
class StreamEnded(Event):
    def __init__(self, stream_id: int, trailers: Headers) -> None:
        self.stream_id = stream_id
        self.trailers = trailers

    def parts(self) -> tuple[Any, ...]:
        return self.stream_id, self.trailers


@final
class StreamReset(Event):
    """By the peer; or by us if there is a ``reason``: how the peer broke the rules, which is
    counted as ``details``."""

    def __init__(self, stream_id: int, code: int, reason: str = "", details: str = "") -> None:
        self.stream_id = stream_id
        self.code = code
        self.reason = reason
        self.details = details

    def parts(self) -> tuple[Any, ...]:
        return self.stream_id, self.code, self.reason


@final
class WindowOpened(Event):
    """``stream_id`` 0: the connection's window, or all windows at once."""

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id

    def parts(self) -> tuple[Any, ...]:
        return (self.stream_id,)


@final
class SettingsCame(Event):
    """What the peer takes may have changed; see `Codec.upgrades` and `Codec.max_streams`."""

    def parts(self) -> tuple[Any, ...]:
        return ()


@final
class GoAwayCame(Event):
    """Streams above ``last_id`` were not and will not be looked at."""

    def __init__(self, last_id: int, code: int) -> None:
        self.last_id = last_id
        self.code = code

    def parts(self) -> tuple[Any, ...]:
        return self.last_id, self.code


class Codec:
    """One HTTP/2 connection. ``receive`` raises ``WireError`` when the connection is broken; what
    `take` then returns (a GOAWAY) should still be sent."""

    def start(self) -> None:
        """Send our preface or settings."""
        raise NotImplementedError

    def upgraded(self, settings: bytes) -> None:
        """Before `start`, at a server: this was HTTP/1.1, and its request is stream 1 by now, which
        the peer has ended. ``settings`` came with it; ``WireError`` if they are wrong."""
        raise NotImplementedError

    def receive(self, data: bytes) -> list[Event]:
        raise NotImplementedError

    def take(self) -> bytes:
        raise NotImplementedError

    def new_stream(self) -> int:
        """The id for our next request."""
        raise NotImplementedError

    def send_headers(self, stream_id: int, headers: Headers, end: bool) -> None:
        raise NotImplementedError

    def window(self, stream_id: int) -> int:
        """How many bytes of data may be sent now."""
        raise NotImplementedError

    def send_data(self, stream_id: int, data: bytes, end: bool) -> None:
        """``data`` must fit the window; it is cut into frames."""
        raise NotImplementedError

    def send_trailers(self, stream_id: int, trailers: Headers) -> None:
        raise NotImplementedError

    def consumed(self, stream_id: int, counted: int) -> None:
        """Data has been passed on: open the windows by so much."""
        raise NotImplementedError

    def reset(self, stream_id: int, code: Code) -> None:
        raise NotImplementedError

    def ping(self) -> None:
        """Ask the peer for an answer (section 6.7). It makes no event: whatever comes is one."""
        raise NotImplementedError

    def go_away(self, last_id: int) -> None:
        """Tell the peer to open no stream above ``last_id``; open ones go on."""
        raise NotImplementedError

    def last_stream(self) -> int:
        """The highest stream that the peer has opened."""
        raise NotImplementedError

    def max_streams(self) -> int:
        """How many streams the peer lets us have open."""
        raise NotImplementedError

    def upgrades(self) -> bool | None:
        """Whether the peer takes extended CONNECT (RFC 8441); None: it has not yet said."""
        raise NotImplementedError

    def relax(self) -> None:
        """A second has passed in which the peer read what we sent: see `wire.h2_floods`."""
        raise NotImplementedError


STREAM_WINDOWS: Final = 16  # in a connection's: so many may wait before they stop the others
UNTIL_TOLD: Final = 100  # streams; the least that RFC 9113 6.5.2 advises a peer to take
UNLIMITED: Final = 1 << 20  # streams, where the peer sets no limit
ALL_STREAMS: Final = 2**31 - 1  # RFC 9113 6.8: a GOAWAY that only says that there will be another
