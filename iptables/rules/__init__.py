"""Options and host facts in, the ordered rules out; pure, and the same for every backend.

A module per kind of traffic; `compose` says in which order they stand, because within a chain the
first rule that matches decides. The rules are Istio's, so that what people know about debugging
them stays true.
"""
