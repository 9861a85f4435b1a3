"""Downstream connections, and the exchange that carries one request through.

Read `exchange.py` first: a request's life from its head to its record. Goes in: bytes of a client.
Comes out: bytes to it, requests to upstreams, records. Must not know: how sockets are accepted, how
the configuration came about.
"""
