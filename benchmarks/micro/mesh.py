"""The mesh of the side-by-side benchmark, as the model that workers are given."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.peers.meshproxy import configuration
from meshproxy.model.snapshot import Snapshot
from meshproxy.translate import Options, SourceText, Translator

PORT = 9100


def snapshot(log: str, protocol: str = "http") -> Snapshot:
    """``log``: json, text or off; it goes to ``/dev/null``. ``protocol``: http or http2, of the
    service and its workloads."""
    text = configuration(PORT, (9001, 9002), log, protocol)
    options = Options(workload=("default", "front"), outbound_port=0, inbound_port=0)
    translation = Translator(options).run([SourceText("mesh.yaml", text)])
    assert translation.snapshot is not None, translation.problems
    whole = translation.snapshot
    logs = tuple(replace(log, path="/dev/null") for log in whole.access_logs)
    return replace(whole, access_logs=logs)
