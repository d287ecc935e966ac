"""A function run while somebody takes notes: which line of the caller's code made which nodes.

Nodes carry serial numbers, so a note is a range of these: the calls of functions and modules, the rounds of
loops. Only the frames of the caller's own code are looked at; nothing is recorded in the nodes.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Self

from chainrule.value import next_serial

__all__ = ["Notes", "Recorder", "Span", "around", "module_calls", "noted", "place"]

_MOST = 1_000_000  # notes of one run; beyond them only the nodes tell
_LIBRARIES = tuple(
    os.path.join(path, "")
    for path in {
        os.path.dirname(os.path.abspath(__file__)),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>"}  # frames of their own before Python 3.12
_INLINED = sys.version_info >= (3, 12)


@dataclass(slots=True)
class Span:
    """What was made from one serial number to another, both excluded.

    Attributes
    ----------
    first, last : int
    kind : {"module", "scope", "loop"}
    name : str
    module : object, optional
        The module that was called.
    """

    first: int
    last: int
    kind: str
    name: str
    module: Any = None


@dataclass(slots=True)
class Notes:
    """What was noted of a run.

    Attributes
    ----------
    spans : list of Span
    lines : list of (int, str, int)
        From a serial number on, the file and line that was running.
    """

    spans: list[Span] = field(default_factory=list)
    lines: list[tuple[int, str, int]] = field(default_factory=list)


def module_calls(since: int = 0) -> list[Span]:
    """The latest calls of modules in this thread, as far as these are still there."""
    calls = sys.modules.get("chainrule.nn.calls")
    if calls is None:
        return []
    found = []
    around: list[tuple[int, dict[int, str]]] = []  # outermost calls: where they end, and the paths inside
    for first, last, reference in sorted(calls.now.log, key=lambda c: (c[0], -c[1])):
        module = reference()
        if module is None or first <= since:
            continue
        if not around or around[-1][0] < first:
            around = [(last, {id(m): path for path, m in module.named_modules()})]
        path, kind = around[-1][1].get(id(module), ""), type(module).__name__
        found.append(Span(first, last, "module", f"{path}: {kind}" if path else kind, module))
    return found


def _hold(modules: list[Any] | None) -> Any:
    """Where this thread keeps the modules that it calls, and where it did before."""
    calls = sys.modules.get("chainrule.nn.calls")
    if calls is None:
        return None
    before, calls.now.held = calls.now.held, modules
    return before


def place(notes: Notes, serial: int) -> tuple[str, int] | None:
    """The file and line that made the node of this number, as far as it was noted."""
    at = bisect(notes.lines, serial, key=lambda note: note[0]) - 1
    return notes.lines[at][1:] if at >= 0 else None


def around(notes: Notes, serial: int, kind: str) -> Span | None:
    """The innermost span of a kind in which the node of this number was made."""
    found = [s for s in notes.spans if s.kind == kind and s.first < serial < s.last]
    return max(found, key=lambda s: s.first, default=None)


def noted(f: Callable[..., Any], *args: Any, **keywords: Any) -> tuple[Any, Notes]:
    """What a function returns, and the notes of its run.

    Examples
    --------
    >>> from chainrule import Value
    >>> def twice(x):
    ...     return x + x
    >>> y, notes = noted(lambda x: twice(twice(x)), Value(1.0))
    >>> [span.name for span in notes.spans]
    ['twice', 'twice', '<lambda>']
    """
    recorder = Recorder()
    with recorder:
        out = f(*args, **keywords)
    return out, recorder.notes


class _Frame:
    """A running frame of the caller's code, with the rounds of loops that are open in it."""

    __slots__ = ("frame", "line", "loops", "opened")

    def __init__(self, frame: FrameType, opened: Span | None) -> None:
        self.frame = frame
        self.opened = opened
        self.line = 0
        self.loops: list[tuple[_Loop, Span, int]] = []


@dataclass(slots=True, eq=False)
class _Loop:
    first: int
    last: int
    text: str
    statement: bool  # or a comprehension


class Recorder:
    """Takes `notes` of what runs while it is entered."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.frames: list[_Frame] = []
        self.written: dict[str, bool] = {}
        self.files: dict[str, list[_Loop]] = {}
        self.around: dict[tuple[CodeType, int], list[_Loop]] = {}

    def __enter__(self) -> Self:
        self.before = sys.gettrace()
        self.held = _hold([])
        self.start = next_serial()
        sys.settrace(self.called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)
        self.notes.spans += module_calls(since=self.start)
        _hold(self.held)

    def called(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        written = self.written.get(code.co_filename)
        if written is None:
            written = self.written[code.co_filename] = _is_written(code.co_filename)
        if not written or len(self.notes.lines) > _MOST:
            return None
        serial = next_serial()
        opened = None
        if code.co_name == "<genexpr>":  # called anew for every round
            opened = Span(serial, serial, "loop", f"round of line {frame.f_lineno}")
        elif code.co_name not in _COMPREHENSIONS and code.co_name != "<module>":
            opened = Span(serial, serial, "scope", code.co_name)
        self.frames.append(_Frame(frame, opened))
        return self.local

    def local(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event not in {"line", "return"} or not self.frames:
            return self.local
        here = self.frames[-1]
        serial = next_serial()
        if event == "line":
            self.notes.lines.append((serial, frame.f_code.co_filename, frame.f_lineno))
            self._rounds(here, frame, serial)
            return self.local
        self._close(here, 0, serial)
        if here.opened is not None:
            here.opened.last = serial
            self.notes.spans.append(here.opened)
        self.frames.pop()
        if self.frames:
            outer = self.frames[-1].frame
            self.notes.lines.append((serial, outer.f_code.co_filename, outer.f_lineno))
        return self.local

    def _rounds(self, here: _Frame, frame: FrameType, serial: int) -> None:
        """Open and close the rounds of the loops around a line that is reached."""
        line = frame.f_lineno
        around = self._around(frame.f_code, line)
        kept = 0
        while kept < min(len(here.loops), len(around)) and here.loops[kept][0] is around[kept]:
            kept += 1
        self._close(here, kept, serial)
        for depth, loop in enumerate(around[:kept]):
            again = line == loop.first if loop.statement else line <= here.line and depth == len(around) - 1
            if again:
                count = here.loops[depth][2] + 1
                self._close(here, depth, serial)
                self._open(here, loop, serial, count)
                kept = depth + 1
                break
        for loop in around[kept:]:
            self._open(here, loop, serial, 0)
        here.line = line

    def _open(self, here: _Frame, loop: _Loop, serial: int, count: int) -> None:
        here.loops.append((loop, Span(serial, serial, "loop", f"{loop.text} #{count}"), count))

    def _close(self, here: _Frame, depth: int, serial: int) -> None:
        while len(here.loops) > depth:
            _, span, _ = here.loops.pop()
            span.last = serial
            self.notes.spans.append(span)

    def _around(self, code: CodeType, line: int) -> list[_Loop]:
        """The loops of a function that a line is in, the outermost first."""
        found = self.around.get((code, line))
        if found is None:
            loops = self.files.get(code.co_filename)
            if loops is None:
                loops = self.files[code.co_filename] = _loops(linecache.getlines(code.co_filename))
            comprehensions = _INLINED or code.co_name in _COMPREHENSIONS
            found = self.around[code, line] = [
                x
                for x in loops
                if code.co_firstlineno <= x.first <= line <= x.last and (x.statement or comprehensions)
            ]
        return found


def _is_written(filename: str) -> bool:
    """Whether a file is the caller's own, and not a library's."""
    return not filename.startswith("<frozen") and not os.path.abspath(filename).startswith(_LIBRARIES)


def _loops(lines: Sequence[str]) -> list[_Loop]:
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.While | ast.AsyncFor | ast.ListComp | ast.SetComp | ast.DictComp):
            statement = isinstance(node, ast.For | ast.While | ast.AsyncFor)
            text = lines[node.lineno - 1].strip().removesuffix(":")
            last = node.end_lineno or node.lineno
            text = text if len(text) <= 60 else text[:59].rstrip() + "…"
            found.append(_Loop(node.lineno, last, text, statement))
    return sorted(found, key=lambda x: (x.first, -x.last))
