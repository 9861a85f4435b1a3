"""Codecs without I/O: bytes in, heads and body bytes out, and the other way round.

Goes in: bytes as they were read. Comes out: `RequestHead`, `ResponseHead`, body bytes, or a
`WireError`. Must not know: sockets, timers, routes. Two implementations stand behind one interface
for each protocol, a fast one and a reference, and the same tests run over both.
"""
