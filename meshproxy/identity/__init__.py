"""Who a peer is: SPIFFE IDs, and what a certificate says.

Goes in: text and DER bytes, as hostile as a stranger can make them. Comes out: a value, or an
`IdentityError` with a sentence. Must not know: keys, files, sockets, clocks, and whether a chain of
signatures holds, which is the TLS library's business.
"""

from meshproxy.identity.errors import IdentityError

__all__ = ["IdentityError"]
