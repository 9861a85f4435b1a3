"""Measurements: the sidecar beside other proxies, and one revision of it beside another."""
