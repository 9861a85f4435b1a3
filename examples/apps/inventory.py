"""The inventory: says how many of an item there are, and which version of it answered.

    GET /items/NAME

Environment: HOST and PORT to listen on; VERSION and POD_NAME are part of each answer.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Inventory(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet

    def do_GET(self) -> None:
        item = self.path.removeprefix("/items/")
        answer = {
            "item": item,
            "stock": len(item) * 7,
            "version": os.environ.get("VERSION", "v1"),
            "pod": os.environ.get("POD_NAME", ""),
            "caller": self.client_address[0],
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Whoever runs this has access logs already."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    address = os.environ.get("HOST", ""), int(os.environ.get("PORT", "8080"))
    Server(address, Inventory).serve_forever()
