"""Hardware as the engine sees it; the adapters that satisfy it stand below."""
