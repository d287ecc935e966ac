"""What the demo says when it cannot go on."""

__all__ = ["DemoError"]


class DemoError(Exception):
    """One line for the user: what went wrong and what to do; `status` is the program's exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
