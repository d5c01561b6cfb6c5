"""Nets of other libraries, read into the lab's units: parts, families, and what is done where a net cannot be taken apart."""
