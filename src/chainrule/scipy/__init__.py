"""SciPy's functions that cannot be dispatched, under their own names: of Values, arrays and numbers alike."""
