"""What an HTTP/2 peer may do too often, counted and bounded.

Each of these is allowed, cheap to send and dear to bear. Counts are per connection and shrink by
half each time `Floods.relax` is called, once a second while the peer reads what we send; so a bound
is about what a peer may do in a second, all the time. One that goes beyond is told to be calm
(ENHANCE_YOUR_CALM) and cut off; ``details`` of the error name the flood, and are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshproxy.wire.errors import Broken
from meshproxy.wire.h2 import Code

_CALM = Code.ENHANCE_YOUR_CALM.value
_TINY = 64  # bytes of data that a window left room for, beside a frame's own 9
_WINDOWS_A_FRAME = 10  # Envoy: max_inbound_window_update_frames_per_data_frame_sent


@dataclass(frozen=True, slots=True)
class Bounds:
    """The fields of `Settings` of the same names."""

    max_h2_resets: int = 500
    max_h2_owed_resets: int = 500
    max_h2_control_frames: int = 10_000
    max_h2_empty_frames: int = 100
    max_h2_idle_frames: int = 10_000
    max_h2_window_updates: int = 2000
    max_h2_tiny_windows: int = 1000
    max_h2_continuations: int = 32


DEFAULT = Bounds()


class Floods:
    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._resets = self._owed = self._control = self._empty = 0
        self._idle = self._windows = self._tiny = 0
        self._on_its_way = 0  # bytes of data on streams that we have reset, at most

    def relax(self) -> None:
        self._resets //= 2
        self._owed //= 2
        self._control //= 2
        self._empty //= 2
        self._idle //= 2
        self._windows //= 2
        self._tiny //= 2

    def reset(self) -> None:
        """The peer opened a stream and gave it up: rapid reset, CVE-2023-44487."""
        self._resets += 1
        if self._resets > self._bounds.max_h2_resets:
            raise Broken(_CALM, "too many streams were reset", "http2.rapid_reset")

    def owed(self) -> None:
        """The peer made us reset a stream: CVE-2025-8671."""
        self._owed += 1
        if self._owed > self._bounds.max_h2_owed_resets:
            raise Broken(_CALM, "too many streams had to be reset", "http2.owed_resets")

    def control(self, weight: int) -> None:
        """SETTINGS or PING: it is answered, and the answer may have to wait. ``weight``: as many
        frames' work."""
        self._control += weight
        if self._control > self._bounds.max_h2_control_frames:
            raise Broken(_CALM, "too many SETTINGS or PING", "http2.control_flood")

    def empty(self) -> None:
        """DATA that brings nothing and ends nothing: CVE-2019-9518."""
        self._empty += 1
        if self._empty > self._bounds.max_h2_empty_frames:
            raise Broken(_CALM, "too many empty frames", "http2.empty_frame_flood")

    def idle(self) -> None:
        """A frame that changes nothing: PRIORITY, unknown types, frames on closed streams."""
        self._idle += 1
        if self._idle > self._bounds.max_h2_idle_frames:
            raise Broken(_CALM, "too many frames that change nothing", "http2.idle_frame_flood")

    def we_reset(self, window: int) -> None:
        """We reset a stream, on which the peer may have sent this much that is still to come. What
        it had written before it read of the reset is no flood, in however many frames."""
        self._on_its_way += max(0, window)

    def late(self, size: int) -> None:
        """Data on a stream that we have reset. Beyond what may have been on its way, or empty, it
        changes nothing."""
        if 0 < size <= self._on_its_way:
            self._on_its_way -= size
        else:
            self.idle()

    def window(self) -> None:
        self._windows += 1
        if self._windows > self._bounds.max_h2_window_updates:
            raise Broken(_CALM, "too many WINDOW_UPDATE", "http2.window_flood")

    def sent(self, size: int, left: int) -> None:
        """``size`` bytes of data went out and ``left`` are left in the window. Checked at the next
        frame that comes: it is not the sender's call that is at fault."""
        self._windows = max(0, self._windows - _WINDOWS_A_FRAME)
        if left <= 0 and size < _TINY:
            self._tiny += 1  # CVE-2019-9511

    def check_windows(self) -> None:
        if self._tiny > self._bounds.max_h2_tiny_windows:
            raise Broken(_CALM, "windows of a few bytes", "http2.tiny_windows")

    def continuation(self, count: int) -> None:
        """So many CONTINUATION frames in this block: CVE-2024-27316 and others."""
        if count > self._bounds.max_h2_continuations:
            raise Broken(_CALM, "too many CONTINUATION", "http2.continuation_flood")
