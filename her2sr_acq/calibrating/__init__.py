"""Measuring the instrument itself: what is asked, how it is lit, what comes of it."""
