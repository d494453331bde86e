"""What a person reviews of a run: regions, pictures, counts, readings, signatures.

Works on a run folder alone; knows neither HTTP nor the microscope. What a person may
not see yet is left out here, before anything is sent.
"""
