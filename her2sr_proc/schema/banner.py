"""The one statement that stands on every surface."""

BANNER = "For research use only. Not for use in diagnostic procedures."
