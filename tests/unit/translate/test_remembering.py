"""A translator that remembers says what one that has just begun says, edit after edit."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import yaml

from meshproxy.translate import Options, SourceText, Translation, Translator
from tests.unit.translate.sample import MORE, SAMPLE
from tests.unit.translate.support import ME
from tests.unit.translate.test_random_edits import edit

OPTIONS = Options(host_addresses=frozenset({"10.0.0.1"}), identity=True)
FILES = 6

# Where what one object comes to hangs on others: on ports and names of services, on wildcards of
# other rules, on a peer's mode.
ENTANGLED = """
apiVersion: v1
kind: Service
metadata: {name: lone}
spec: {selector: {app: lone}, clusterIP: 10.2.0.1, ports: [{name: http, port: 7000}]}
---
apiVersion: v1
kind: Service
metadata: {name: pair}
spec:
  clusterIP: 10.2.0.2
  ports: [{name: http, port: 7000}, {name: http-more, port: 9080}]
---
apiVersion: v1
kind: Pod
metadata: {name: lone-1, labels: {app: lone, security.istio.io/tlsMode: istio}}
spec: {containers: [{name: app, ports: [{containerPort: 7000}]}]}
status: {podIP: 10.2.1.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: plain}
spec: {selector: {matchLabels: {app: lone}}, mtls: {mode: DISABLE}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: to-lone}
spec: {hosts: [pair], http: [{route: [{destination: {host: lone}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: wide}
spec: {hosts: ["*.svc.cluster.local"], http: [{route: [{destination: {host: lone}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: narrower}
spec:
  hosts: ["*.default.svc.cluster.local"]
  http: [{match: [{port: 7000}], route: [{destination: {host: pair, subset: v1}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pair}
spec: {host: pair, subsets: [{name: v1, labels: {version: v1}}]}
"""
ORIGINAL: list[Any] = [
    each for text in (SAMPLE, MORE, ENTANGLED) for each in yaml.safe_load_all(text) if each
]


def shown(found: Translation) -> str:
    """All of it, also what comparing leaves out: the documents that parts come from."""
    return repr((found.snapshot, found.problems, found.unread, sorted(map(str, found.secrets))))


class Folder:
    """Files of documents that somebody works on."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.files: list[list[Any]] = [copy.deepcopy(ORIGINAL[at::FILES]) for at in range(FILES)]
        self._comments = [""] * FILES
        self._kept: list[list[Any]] | None = None

    def texts(self) -> list[SourceText]:
        return [
            SourceText(f"{at}.yaml", comment + yaml.safe_dump_all(file, allow_unicode=True))
            for at, (file, comment) in enumerate(zip(self.files, self._comments, strict=True))
        ]

    def change(self) -> None:
        """One document comes, goes, moves or is edited; what junk did is put right again."""
        if self._kept is not None:
            self.files, self._kept = self._kept, None
            return
        rng = self._rng
        file, kind = rng.choice(self.files), rng.randrange(8)
        if kind <= 2 and file:
            file.pop(rng.randrange(len(file)))
        elif kind <= 5:
            missing = [each for each in ORIGINAL if not any(each in known for known in self.files)]
            chosen = rng.choice(missing or ORIGINAL)
            file.insert(rng.randrange(len(file) + 1), copy.deepcopy(chosen))
        elif kind == 6:
            self._comments[rng.randrange(FILES)] = "# a line more\n---\n" * rng.randrange(3)
        elif file:
            self._kept = copy.deepcopy(self.files)
            edit(file, rng)


@pytest.mark.parametrize("seed", range(16))
def test_edit_after_edit(seed: int) -> None:
    folder, remembering = Folder(random.Random(seed)), Translator(OPTIONS)
    understood = 0
    for step in range(30):
        texts = folder.texts()
        fresh = Translator(OPTIONS).run(texts)
        assert shown(remembering.run(texts)) == shown(fresh), step
        understood += fresh.snapshot is not None
        folder.change()
    assert understood >= 10


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: NAMESPACE}
spec: {clusterIP: 10.2.0.9, ports: [{name: http, port: 7000}]}
---
"""
SHOP = SERVICE.replace("NAMESPACE", "default").replace("NAME", "shop")
TILL = SERVICE.replace("NAMESPACE", "default").replace("NAME", "till")
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME}
spec: {hosts: ["HOST"], http: [{match: [{port: PORT}], directResponse: {status: 418}}]}
---
"""


def rule(name: str, host: str, port: int = 7000) -> str:
    return RULE.replace("NAME", name).replace("HOST", host).replace("PORT", str(port))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            SHOP + TILL + rule("narrow", "shop", 1) + rule("wide", "*.svc.cluster.local"),
            SHOP + TILL + rule("narrow", "till", 1) + rule("wide", "*.svc.cluster.local"),
            id="whom a wildcard speaks for hangs on rules that say nothing of the port",
        ),
        pytest.param(
            SHOP + rule("one", "shop", 1),
            SHOP + rule("one", "shop", 7000),
            id="a rule gets something to say of a port",
        ),
        pytest.param(
            SHOP + rule("one", "shop.prod"),
            SHOP
            + rule("one", "shop.prod")
            + SERVICE.replace("NAMESPACE", "prod").replace("NAME", "shop"),
            id="what a name means hangs on the services there are",
        ),
    ],
)
def test_what_one_hangs_on(before: str, after: str) -> None:
    options = Options(workload=("default", "me"))
    remembering = Translator(options)
    seen = []
    for text in (before, after, before):
        # What does not change stays where it is.
        texts = [SourceText(f"{at}.yaml", part) for at, part in enumerate(text.split("---\n"))]
        fresh = Translator(options).run([*texts, SourceText("me.yaml", ME)])
        assert fresh.snapshot is not None
        assert shown(remembering.run([*texts, SourceText("me.yaml", ME)])) == shown(fresh)
        seen.append(shown(fresh))
    assert seen[0] == seen[2] != seen[1]
