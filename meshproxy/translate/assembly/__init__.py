"""Typed objects put together for one workload: what it sees, calls, and is called on.

Follows Istio's rules of scope, precedence and naming (`pilot/pkg/model`,
`pilot/pkg/networking/core`); each file says which. What comes out are parts of the model. A part
whose inputs are the same objects as last time is the same part as last time (`memo`).
"""
