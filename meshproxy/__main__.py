"""The console script. It only finds out which program was meant; the work is in `meshproxy.cli`.

The init step is looked for first: it has to start fast in an init container, and imports nothing
of the proxy. Under the names `istio-iptables`, `istio-clean-iptables` and `pilot-agent` (links in
the image) the program takes those programs' arguments.
"""

from __future__ import annotations

import os
import sys

_INIT = {
    "iptables": "main",
    "istio-iptables": "main",
    "clean-iptables": "clean_main",
    "istio-clean-iptables": "clean_main",
}


def main() -> int:
    """Run the command; the exit status."""
    name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
    if name not in _INIT and arguments and arguments[0] in _INIT:
        name, arguments = arguments[0], arguments[1:]
    try:
        if name in _INIT:
            import iptables.cli

            init: int = getattr(iptables.cli, _INIT[name])(arguments)
            return init
        from meshproxy.cli.main import run

        return run(arguments, "pilot-agent" if name == "pilot-agent" else "meshproxy")
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
