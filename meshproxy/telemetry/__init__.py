"""What is shown of requests: metric cells and access-log lines.

Goes in: finished records. Comes out: counts in plain cells, lines of text. Must not know: files,
sockets, who scrapes.
"""
