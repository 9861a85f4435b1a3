"""`examples/authorization/`: the front and the own namespace may call, nobody what is under /admin.

Only the port is another one: the sidecar is called as a peer's would, with a certificate.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from meshproxy.demo.files import examples
from tests.support.peers import ask
from tests.support.pki import Authority
from tests.support.servers import App
from tests.support.sidecar import Sidecar, config, free_port, istio, plain
from tests.support.tls import Secure


class Shop:
    def __init__(self, port: int, authority: Authority) -> None:
        self.port = port
        self._authority = authority

    def status(self, caller: str, path: str = "/", method: str = "GET") -> int:
        """What a caller by that account gets; "" has no certificate."""
        if not caller:
            return ask(self.port, path, method).status
        with Secure(self.port, self._authority.issue(caller)) as client:
            return client.ask(path, method).status


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    text = (examples() / "authorization" / "authorization.yaml").read_text(encoding="utf-8")
    port = free_port()
    documents = list(yaml.safe_load_all(text.replace('ports: ["80"]', f'ports: ["{port}"]')))
    authority = Authority()
    certs = authority.issue("shop/shop").write(tmp_path_factory.mktemp("certs"))
    labels = {"app": "shop"}
    me = istio("WorkloadEntry", "me", {"address": "127.0.0.1", "labels": labels}, namespace="shop")
    with App() as app:
        mine = plain([], [(port, "HTTP", app.port)])
        mine["metadata"]["namespace"] = "shop"
        arguments = ["--workload", "shop/me", "--certs", str(certs)]
        with Sidecar(config(*documents, mine, me), arguments=arguments) as proxy:
            yield Shop(port, authority)
            assert "can't be relied on" not in proxy.log


@pytest.mark.parametrize(
    ("caller", "method", "path", "status"),
    [
        ("front/web", "GET", "/", 200),
        ("front/web", "POST", "/", 200),
        ("front/other", "GET", "/", 403),
        ("shop/any", "GET", "/", 200),
        ("shop/any", "POST", "/", 403),
        ("", "GET", "/", 403),
        ("front/web", "GET", "/admin", 403),
        ("front/web", "GET", "/admin/x", 403),
        ("front/web", "GET", "/x/..;y/%61dmin/x", 403),
        ("front/web", "GET", "/administer", 200),
    ],
)
def test_who_may_call(shop: Shop, caller: str, method: str, path: str, status: int) -> None:
    assert shop.status(caller, path, method) == status
