"""Where configuration comes from: files on disk today, a control plane later.

Goes in: a place to look. Comes out: texts, taken whole or not at all, and word that something has
changed. Must not know: what the texts say. This is one of the few rooms that touch the system.
"""
