"""Upstream clusters: endpoints with their state, how one is chosen, which connections are kept.

Goes in: the model's clusters, a clock, a random source. Comes out: decisions. Bookkeeping here is
synchronous and returns the I/O that it wants done. Must not know: sockets, requests.
"""
