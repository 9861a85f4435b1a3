"""The one error of this room."""

from __future__ import annotations


class IdentityError(ValueError):
    """Somebody is not who they must be, or says so in a way that can't be understood.

    Its text is a part of a sentence, such as "the certificate has no URI name".
    """
