"""Ways to find nuclei: the network, and programs of others by entry point."""
