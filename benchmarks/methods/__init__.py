"""Methods that several experiments compare."""
