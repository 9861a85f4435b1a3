"""Values that know nothing of networks: addresses, the clock, the one error type, lookup tables.

Goes in: plain values. Comes out: plain values. Must not know: sockets, loops, configuration.
"""
