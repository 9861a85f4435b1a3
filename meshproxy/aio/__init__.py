"""The few things that everything on an event loop shares: starting tasks, and timers.

Must not know: what a task or a timer is for.
"""
