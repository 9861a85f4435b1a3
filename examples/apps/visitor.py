"""Somebody who would like to know what the inventory has: asks once, and says what came back.

visitor.py HOST PORT   GET http://inventory/items/apple from there; prints status and body
"""

from __future__ import annotations

import http.client
import sys

TIMEOUT = 10.0


def main() -> None:
    host, port = sys.argv[1], int(sys.argv[2])
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    connection.request("GET", "/items/apple", headers={"Host": "inventory"})
    answer = connection.getresponse()
    print(answer.status, answer.read().decode("utf-8", "replace").strip())


if __name__ == "__main__":
    main()
