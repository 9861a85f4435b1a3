"""meshproxy: a service-mesh sidecar.

ARCHITECTURE.md names the rooms of this package and the one direction their imports take.
"""

__version__ = "0.1.0"
