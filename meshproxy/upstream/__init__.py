"""Connections that we open: dialling, and requests on HTTP/1, HTTP/2 and plain TCP.

Goes in: a cluster, an endpoint, a request. Comes out: the answer, piece by piece, into the sink
that asked. Must not know: downstream connections, routes.
"""
