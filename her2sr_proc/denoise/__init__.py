"""Noise2Void: a network that learns from noisy frames alone what light there was."""
