"""Nanoseconds in this process: single functions, and whole exchanges without sockets."""
