"""`python -m iptables`: the init container's program."""

from __future__ import annotations

import sys

from iptables.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
