"""``meshproxy demo``: the whole of it on one machine, for someone who sees it for the first time.

Start at `story.py`. The programs and the YAML that it runs are ordinary files under ``examples/``.
"""
