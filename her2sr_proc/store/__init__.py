"""Everything about files: names, frames, tables, results. Knows no step and no socket."""
