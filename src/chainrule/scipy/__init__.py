"""SciPy's functions that cannot be dispatched, under SciPy's names, of Values, arrays and numbers."""
