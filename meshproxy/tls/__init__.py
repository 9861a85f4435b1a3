"""TLS as a layer of our own over OpenSSL: bytes in, bytes out.

Goes in: what a transport reads, and what a protocol writes. Comes out: the other of the two, and
who is on the other end. Must not know: requests, routes, where certificates come from.
"""
