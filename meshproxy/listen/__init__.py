"""Listening sockets, and where a captured connection was going.

Must not know: what is done with connections.
"""
