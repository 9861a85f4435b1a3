"""What people write, understood: Istio and Kubernetes documents in, one `Snapshot` out.

Goes in: texts with the name of the file each came from. Comes out: a snapshot and every problem
that was found, each with its file, line and field, or problems alone. `documents` cuts and parses
texts; `kinds` reads one object at a time, without looking at any other; `assembly` puts the objects
together for one workload. Must not know: files, clocks, sockets, requests.
"""

from meshproxy.translate.documents import Document, Library, SourceText
from meshproxy.translate.options import Options
from meshproxy.translate.problems import Problem, Severity
from meshproxy.translate.translate import Memory, Translation, Translator, translate

__all__ = [
    "Document",
    "Library",
    "Memory",
    "Options",
    "Problem",
    "Severity",
    "SourceText",
    "Translation",
    "Translator",
    "translate",
]
