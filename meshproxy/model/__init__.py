"""The configuration as one immutable snapshot, in Envoy's words.

Goes in: what `translate` understood. Comes out: frozen dataclasses that the plan is compiled from
and that the admin API shows. Must not know: YAML, sockets, requests. Durations are seconds.
"""
