"""What requests run through: tables, then closures over scalars, built whole and swapped at once.

Goes in: a `Snapshot` and the registry of endpoint states. Comes out: a `Plan`. Nothing here reads
the model at request time, and a feature that is not configured is not in the plan.
"""
