"""What is said of a file that is there and does not hold what it should."""

__all__ = ["DataError"]


class DataError(ValueError):
    """A file of data that is damaged or of another kind; says which file, where, and what to do next."""
