"""What can go wrong with the simulated microscope, and when.

`options` says it, `plan` decides it in the microscope's process, `board` tells the
devices in another process that something is planned, `device` carries it out there.
"""
