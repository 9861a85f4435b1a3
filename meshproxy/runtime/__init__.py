"""Processes: the supervisor that knows, the zygote that forks, the workers that carry data.

Must not know: what is in the bytes that are carried.
"""
