"""Everything that is simulated. Never imported by the rest of the project."""
