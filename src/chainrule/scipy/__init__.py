"""SciPy's functions that cannot be overridden from outside, under SciPy's names; they take Values and arrays."""
