"""Packaged device configurations: Micro-Manager `.cfg` files and their `.yaml` companions."""
