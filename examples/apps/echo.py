"""A TCP echo: sends back what it gets, until the other side has said everything.

Environment: HOST and PORT to listen on.
"""

from __future__ import annotations

import os
import socketserver


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    address = os.environ.get("HOST", ""), int(os.environ.get("PORT", "9000"))
    Server(address, Echo).serve_forever()
