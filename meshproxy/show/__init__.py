"""What runs, in Envoy's shapes: the snapshot as config dump, listeners and clusters, and as tables.

Goes in: the model, and counts that workers have told. Comes out: plain values for JSON, and text.
Must not know: sockets, workers, how the values are asked for.
"""
