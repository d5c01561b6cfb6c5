"""Pure functions: tensors in, numbers out.  They save nothing, queue nothing, and return no number for an empty set."""
