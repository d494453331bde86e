"""Compiled loops of the simulator: lives of dyes, images, the sensor's noise.

Numbers and arrays in, arrays filled. Random numbers come from counters, never from a
state that outlives a call, so that what is drawn depends on what it is drawn for, not
on the order. Each file has its own `mixed` and `unit`: a cached caller does not notice
an edit in another file.
"""
