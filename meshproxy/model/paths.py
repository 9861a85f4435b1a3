"""What is done to a request's path before anything looks at it."""

from __future__ import annotations

from enum import Enum


class PathNormalization(Enum):
    """Istio's ``MeshConfig.ProxyPathNormalization``; each does what those before it do.

    ``BASE``: Envoy's ``normalize_path``. ``MERGE_SLASHES``: ``//`` becomes ``/``.
    ``DECODE_AND_MERGE_SLASHES``: ``%2F`` and ``%5C`` are slashes, too.
    """

    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"
