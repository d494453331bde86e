"""The shared language of acquisition and processing: pydantic and numpy only."""
