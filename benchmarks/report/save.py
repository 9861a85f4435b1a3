"""The whole run as JSON, for those who want to look at every sample."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.report.page import Memories
from benchmarks.report.sample import Sample, Summary


def save(
    file: Path,
    facts: Mapping[str, str],
    samples: Sequence[Sample],
    summaries: Sequence[Summary],
    memories: Memories,
    notes: Sequence[str],
) -> None:
    """Named tuples become lists, in the order of their fields."""
    whole = {
        "facts": dict(facts),
        "notes": list(notes),
        "summaries": [asdict(summary) for summary in summaries],
        "memory_kib": {
            name: {kind: [memory._asdict() for memory in found] for kind, found in kinds.items()}
            for name, kinds in memories.items()
        },
        "samples": [asdict(sample) for sample in samples],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(whole, indent=1) + "\n")
