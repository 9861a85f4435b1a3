"""The one error of this room."""

from __future__ import annotations


class IdentityError(ValueError):
    """Somebody is not who they must be, or says so in a way that can't be understood.

    Its text is a part of a sentence, such as "the certificate has no URI name"; ``word`` is one of
    a small set, for metrics.
    """

    def __init__(self, text: str, word: str = "bad_identity") -> None:
        super().__init__(text)
        self.word = word
