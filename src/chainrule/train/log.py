"""The log of a run: JSON lines that a resumed run continues as if it had never stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Log"]


class Log:
    """A file of JSON lines that knows how long it should be."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path = None if path is None else Path(path).expanduser()
        self.size = 0

    def cut(self, size: int) -> None:
        """Begin at ``size`` bytes: what an interrupted run wrote after its checkpoint is written again."""
        if self.path is None:
            return
        there = self.path.stat().st_size if self.path.exists() else 0
        if there < size:
            raise ValueError(
                f"fit: the log {self.path} has {there} bytes, expected {size} or more, as when the "
                "checkpoint was written; give the log of that run, or log=None"
            )
        with open(self.path, "ab") as file:
            file.truncate(size)
        self.size = size

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line and flush it."""
        if self.path is None:
            return
        with open(self.path, "ab") as file:
            file.write((json.dumps(line) + "\n").encode())
            self.size = file.tell()
