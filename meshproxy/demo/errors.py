"""The two ways in which a demo ends early."""

from __future__ import annotations


class DemoError(Exception):
    """The demo can't go on; the text is a sentence for people."""


class Unavailable(Exception):
    """Redirected traffic is not to be had here; the text says why, without a full stop."""
