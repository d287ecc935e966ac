"""SciPy's functions that cannot be overridden from outside, under its names, of Values and arrays."""
