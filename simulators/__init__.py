"""Everything that is simulated: specimen, light, camera, stage. Never imported by the rest."""
