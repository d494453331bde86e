"""Packaged device configurations: Micro-Manager `.cfg` and companion `.yaml`."""
