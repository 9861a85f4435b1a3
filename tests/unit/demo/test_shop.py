"""What the demo reads from its YAML."""

from __future__ import annotations

from meshproxy.demo.files import examples, fill, yaml_texts
from meshproxy.demo.shop import read_shop

DEMO = list(yaml_texts(examples() / "demo").values())
PLAIN = list(yaml_texts(examples() / "plain-ports").values())


def test_pods_and_services() -> None:
    shop = read_shop(DEMO)
    serving = ["order", "inventory-v1", "inventory-v2", "echo"]
    assert [pod.name for pod in shop.serving] == serving
    assert [pod.name for pod in shop.pods] == [*serving, "visitor"]
    second = shop.pod("inventory-v2")
    assert (second.app, second.version, second.workload) == ("inventory", "v2", "shop/inventory-v2")
    assert second.identity == "spiffe://cluster.local/ns/shop/sa/inventory"
    assert second.listen == ("0.0.0.0", second.port)
    assert shop.service("inventory").ip not in {pod.ip for pod in shop.pods}


def test_every_app_has_its_program() -> None:
    for pod in read_shop(DEMO).pods:
        assert (examples() / "apps" / f"{pod.app}.py").is_file()


def test_apps_learn_of_services_as_in_kubernetes() -> None:
    shop = read_shop(DEMO)
    environment = shop.environment(shop.pod("order"))
    inventory = shop.service("inventory")
    assert environment["INVENTORY_SERVICE_HOST"] == inventory.ip
    assert environment["INVENTORY_SERVICE_PORT"] == str(inventory.port)
    assert (environment["PORT"], environment["VERSION"]) == ("8080", "v1")


def test_with_plain_ports_apps_listen_where_the_sidecar_resource_says() -> None:
    shop = read_shop(DEMO + PLAIN)
    places = [pod.listen for pod in shop.serving]
    assert all(host == "127.0.0.1" for host, _ in places)
    assert len(set(places)) == len(places)


def test_ports_and_the_addresses_that_use_them() -> None:
    shop = read_shop([fill(text, {"10.77.0.30": "127.77.0.30"}) for text in DEMO + PLAIN])
    ports = shop.ports()
    assert set(ports[9000]) == {shop.service("echo").ip, "127.77.0.30"}
    assert ports[shop.pod("echo").listen[1]] == ["127.0.0.1"]
