"""A translation lets others have the processor, also where next to nothing has changed."""

from __future__ import annotations

from meshproxy.translate import Options, SourceText, Translator

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: s{n}, namespace: default}}
spec: {{selector: {{app: s{n}}}, ports: [{{name: http, port: 80}}]}}
"""


def test_it_breathes_at_each_document_and_each_thing_made_of_it() -> None:
    breaths = 0

    def breathe() -> None:
        nonlocal breaths
        breaths += 1

    translator = Translator(Options(), breathe)
    text = "---\n".join(SERVICE.format(n=n) for n in range(100))
    counts = []
    for number in range(3):
        before = breaths
        translator.run([SourceText("a.yaml", text), SourceText("b.yaml", f"# {number}")])
        counts.append(breaths - before)
    assert all(count >= 2 * 100 for count in counts), counts
