"""The guard: a small process that owns acq and can put the light out by itself."""
