"""The part of her2sr that drives the microscope."""
