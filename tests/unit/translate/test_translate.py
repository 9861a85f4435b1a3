"""From texts to snapshots, again and again."""

from __future__ import annotations

from dataclasses import replace

from meshproxy.model.snapshot import Change, Snapshot, diff
from meshproxy.translate import Options, Severity, SourceText, Translation, Translator
from tests.unit.translate.sample import SAMPLE
from tests.unit.translate.support import ME, translated

OPTIONS = Options(workload=("default", "me"))


class Reloads:
    """A translator and its last snapshot."""

    def __init__(self) -> None:
        self._translator = Translator(OPTIONS)
        self._last: Snapshot | None = None

    def run(self, *texts: str) -> tuple[Translation, Change]:
        sources = [SourceText(f"{at}.yaml", text) for at, text in enumerate(texts)]
        found = self._translator.run(sources)
        assert found.snapshot is not None, [str(each) for each in found.errors]
        change = diff(self._last, found.snapshot)
        self._last = found.snapshot
        return found, change


def changed(change: Change) -> set[str]:
    return {"/".join(key) for key in change.changed}


def test_reading_the_same_again_changes_nothing() -> None:
    reloads = Reloads()
    first, _ = reloads.run(SAMPLE)
    second, change = reloads.run(SAMPLE)
    assert not change.changed
    assert not change.removed
    assert first.problems == second.problems
    assert first.snapshot is not None
    assert second.snapshot is not None
    for table in ("hosts", "clusters", "peers"):
        old, new = getattr(first.snapshot, table), getattr(second.snapshot, table)
        assert all(new[key] is old[key] for key in new), table


def test_moving_documents_changes_nothing_but_their_lines() -> None:
    reloads = Reloads()
    reloads.run(SAMPLE)
    found, change = reloads.run("# a new first line\n---\n" + SAMPLE)
    assert not change.changed
    assert found.snapshot is not None
    host = found.snapshot.hosts["9080/reviews.default.svc.cluster.local"]
    moved = translated(SAMPLE).snapshot
    assert moved is not None
    assert host.origin.line == moved.hosts["9080/reviews.default.svc.cluster.local"].origin.line + 2


def test_one_changed_document_changes_its_own_parts() -> None:
    reloads = Reloads()
    reloads.run(SAMPLE)
    _, change = reloads.run(SAMPLE.replace("weight: 90", "weight: 80"))
    assert changed(change)
    assert all(key.startswith("hosts/") for key in changed(change))
    _, change = reloads.run(SAMPLE.replace("simple: RANDOM", "simple: LEAST_REQUEST"))
    assert {key for key in changed(change) if key.startswith("clusters/")}
    assert not {key for key in changed(change) if key.startswith("listeners/")}


def test_all_problems_at_once() -> None:
    broken = "kind: [\n"
    wrong = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\n"
        "spec: {hosts: [a b], http: [{timeout: soon}]}\n"
    )
    found = translated(broken, wrong, me="")
    assert found.snapshot is None
    fields = {(each.file, each.line, each.field) for each in found.errors}
    assert fields >= {
        ("0.yaml", 1, ""),
        ("1.yaml", 4, "spec.hosts[0]"),
        ("1.yaml", 4, "spec.http[0].timeout"),
        ("1.yaml", 4, "spec.http[0].route"),
    }
    assert any("workload" in each.text.lower() for each in found.errors)


def test_problems_name_their_object() -> None:
    found = translated(ME, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {typo: 1}\n")
    (problem,) = found.problems
    assert problem.subject == "Service default/s"
    assert problem.severity is Severity.WARNING


def test_after_a_broken_reload_the_next_good_one_is_whole() -> None:
    translator = Translator(OPTIONS)
    first = translator.run([SourceText("a.yaml", SAMPLE)])
    assert translator.run([SourceText("a.yaml", SAMPLE + "\n---\nkind: [\n")]).snapshot is None
    again = translator.run([SourceText("a.yaml", SAMPLE)])
    assert first.snapshot == again.snapshot


def test_a_translation_only_depends_on_its_arguments() -> None:
    assert translated(SAMPLE).snapshot == translated(SAMPLE).snapshot
    other = replace(OPTIONS, inbound_port=0)
    found = Translator(other).run([SourceText("a.yaml", SAMPLE)])
    assert found.snapshot is not None
    assert "virtualInbound" not in found.snapshot.listeners


def test_no_files_at_all() -> None:
    found = Translator(OPTIONS).run([])
    assert found.snapshot is not None
    assert set(found.snapshot.listeners) == {"virtualOutbound", "virtualInbound"}
    nobody = Translator(Options(host_addresses=frozenset({"10.0.0.1"}))).run([])
    assert nobody.snapshot is None
