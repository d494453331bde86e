"""Everything about files: frames, tables, results. Knows no step and no socket."""
