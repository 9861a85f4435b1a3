"""The order front: asks the inventory for each item of an order, and the echo for a receipt.

    GET /order?items=NAME,NAME   one call of http://inventory:8080/items/NAME for each
    GET /receipt?text=TEXT       TEXT there and back over a TCP connection to the echo

Environment: HOST and PORT to listen on; where the services are, in the variables that Kubernetes
sets in every container: INVENTORY_SERVICE_HOST and _PORT, ECHO_SERVICE_HOST and _PORT.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TIMEOUT = 10.0


def service(name: str) -> tuple[str, int]:
    """The address of a service, as Kubernetes tells its containers."""
    return os.environ[f"{name}_SERVICE_HOST"], int(os.environ[f"{name}_SERVICE_PORT"])


class CallFailed(Exception):
    """A service did not answer as it should; the text says which and how."""


class Order(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet

    def setup(self) -> None:
        super().setup()
        self.inventory = http.client.HTTPConnection(*service("INVENTORY"), timeout=TIMEOUT)

    def finish(self) -> None:
        self.inventory.close()
        super().finish()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            match url.path:
                case "/order":
                    items = query.get("items", "apple").split(",")
                    self.answer(200, {"items": [self.look_up(item) for item in items]})
                case "/receipt":
                    self.answer(200, receipt(query.get("text", "thanks")))
                case _:
                    self.answer(404, {"error": f"nothing is at {url.path}"})
        except (CallFailed, OSError, http.client.HTTPException) as error:
            self.inventory.close()
            self.answer(502, {"error": f"{type(error).__name__}: {error}"})

    def look_up(self, item: str) -> dict[str, str]:
        """The inventory's answer, and the address that was called for it."""
        self.inventory.request("GET", f"/items/{item}", headers={"Host": "inventory:8080"})
        answer = self.inventory.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise CallFailed(f"inventory: {answer.status} {body.decode(errors='replace')}")
        called = f"{self.inventory.host}:{self.inventory.port}"
        return {**json.loads(body), "called": called}

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Whoever runs this has access logs already."""


def receipt(text: str) -> dict[str, str]:
    """What the echo sends back for a text."""
    host, port = service("ECHO")
    with socket.create_connection((host, port), TIMEOUT) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        back = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    if back != text:
        raise CallFailed(f"echo: {back!r} came back for {text!r}")
    return {"receipt": back, "called": f"{host}:{port}"}


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    address = os.environ.get("HOST", ""), int(os.environ.get("PORT", "8080"))
    Server(address, Order).serve_forever()
