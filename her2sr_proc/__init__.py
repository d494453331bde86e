"""Frames in, numbers out: the part of her2sr that works without a microscope."""
