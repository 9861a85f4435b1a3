"""How the sidecar recognises its own question whether traffic is captured.

It connects to an address that no app uses; only redirect rules can bring that connection to the
inbound port, where it is answered. The rules' own self-test asks the same way.
"""

from __future__ import annotations

from meshproxy.base.addr import Address

PORT = 15002
TARGETS = (Address("127.0.0.6", PORT), Address("::6", PORT))
ANSWER = b"captured\n"
