"""Tells people of runs, by webhook and e-mail, without ever being waited for."""
