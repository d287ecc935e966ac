"""The log of a run: JSON lines that a resumed run continues as if it had never stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from chainrule.train.checkpoint import lock

__all__ = ["Log"]


class Log:
    """A file of JSON lines that knows how long it should be, and of one run only while it is open."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path = None if path is None else Path(path).expanduser()
        self.size = 0
        self._held: int | None = None

    def check(self, size: int) -> None:
        """That there are ``size`` bytes to begin after, and a place to write to."""
        if self.path is None:
            return
        if self.path.is_dir() or not self.path.parent.is_dir():
            found = "is a folder" if self.path.is_dir() else f"lies in {self.path.parent}, which is no folder"
            raise ValueError(f"fit: log {self.path} {found}; expected a file's name in a folder that exists")
        there = self.path.stat().st_size if self.path.exists() else 0
        if there < size:
            raise ValueError(
                f"fit: the log {self.path} has {there} bytes, expected {size} or more, as when the "
                "checkpoint was written; give the log of that run, or log=None"
            )

    def cut(self, size: int) -> None:
        """Begin at ``size`` bytes: what an interrupted run wrote after its checkpoint is written again."""
        self.check(size)
        if self.path is None:
            return
        self._held = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        if lock(self._held, wait=False) is False:  # None where there are no locks
            self.close()
            raise ValueError(
                f"fit: another run is writing the log {self.path}; expected a file, and a checkpoint, of each"
                " run's own"
            )
        os.truncate(self.path, size)
        self.size = size

    def close(self) -> None:
        """Let others write to the file."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line and flush it; null for what is no number, for which JSON has no word."""
        if self.path is None:
            return
        line = {k: None if isinstance(x, float) and not isfinite(x) else x for k, x in line.items()}
        with open(self.path, "ab") as file:
            file.write((json.dumps(line) + "\n").encode())
            self.size = file.tell()
