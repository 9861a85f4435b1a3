"""The proxies that are measured: how each is configured and started, and what it does."""
