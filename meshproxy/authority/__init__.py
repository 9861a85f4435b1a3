"""A certificate authority of its own, to start with: for tests, machines and meshes without one.

Goes in: names and lengths of life. Comes out: keys and certificates as Istio makes them, in files
with Istio's names. Must not know: the proxy. Only commands import it: `cryptography` is large.
"""
