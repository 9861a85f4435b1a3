"""What sets security objects apart: one that is only half understood refuses everything.

A field that is misspelt or not implemented could be the one that keeps somebody out, so the object
does not count as read, and what it was meant for is closed until it is mended.
"""

from __future__ import annotations

from meshproxy.translate.fields import Fields
from meshproxy.translate.problems import UNKNOWN_FIELD, UNSUPPORTED, show_path


def close_strictly(*parts: Fields) -> str:
    """Close mappings, and say why the object can't be relied on, or ""."""
    for fields in parts:
        fields.skip("status", "metadata", "spec")
        fields.close()
    for finding in parts[0].report.findings:
        if finding.code in (UNKNOWN_FIELD, UNSUPPORTED):
            return f"{show_path(finding.path)} {finding.text}"
    return ""
