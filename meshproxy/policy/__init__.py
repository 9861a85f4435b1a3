"""Who may call: AuthorizationPolicies as decisions.

`rules` says which rules there are for HTTP and for TCP, `reference` evaluates them as their text
reads, `checks` and `judge` compile them, and `reasons` tells people why somebody was refused.
"""
