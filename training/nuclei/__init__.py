"""Trains the network that finds nuclei: ``python -m training.nuclei.train --help``."""
