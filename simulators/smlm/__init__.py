"""Movies of blinking emitters with an exact truth, to measure localizers by."""
