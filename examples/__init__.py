"""Examples: each file trains something small, draws a picture of it and returns its figures."""
