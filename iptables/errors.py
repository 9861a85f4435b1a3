"""The one failure that ends a run: a sentence that says what is missing and what to do."""

from __future__ import annotations


class Failed(Exception):
    """The rules could not be set. The message is for the user and complete."""


class Unsupported(Failed):
    """The kernel or the image lacks what a whole family or backend needs."""
