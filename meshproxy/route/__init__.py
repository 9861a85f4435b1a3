"""Which rule a request falls under, and what that rule changes in it.

Goes in: the model's routes and a `RequestHead`. Comes out: closures, compiled once, that answer
without looking at the model again. Beside each ``compile_x`` stands a ``reference_x`` of a few
plain lines that tests hold it against. Must not know: clusters, connections.
"""
