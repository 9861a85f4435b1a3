"""The init step: sends a pod's traffic to the sidecar, and takes that back exactly.

In: the flags and environment of `istio-iptables`, and a few facts of the host (addresses,
resolvers, users). Out: rules in the network namespace's nat, mangle and raw tables, an address on
`lo` and, for TPROXY, a policy route.

The middle is pure: options and facts give ordered rules (`rules`), rules give text
(`render`, `nft`), a saved ruleset gives what in it is ours (`saved`, `ours`), and the two together
give the text that turns one into the other (`change`). Only `host`, `execute`, `tools`, `netlink`,
`namespace` and `probe` touch the machine, and `apply` says in which order.

The package ships in an init container: it imports nothing of the sidecar and only the standard
library (`pyroute2` inside the one function that uses it), and is imported by the command line
alone.
"""
