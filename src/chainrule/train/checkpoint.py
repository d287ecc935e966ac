"""Checkpoints: arrays and what belongs to them in one file that is whole, or refused with a reason.

The file is safetensors, which any reader of that format opens.  Its metadata hold one entry, ``chainrule``: a
SHA-256 of the whole file, computed with zeros in the digest's own place, and the rest as JSON.  No pickle:
nothing that is loaded is executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    import fcntl
except ImportError:  # Windows: no locks, so nobody can tell an orphan, and none is cleared away
    fcntl = None  # type: ignore[assignment]

__all__ = ["CheckpointError", "load", "lock", "save"]

# A quote inside a JSON string is escaped, so this text stands nowhere in a header but before the digest.
_MARK = b'"chainrule":"sha256 '
_BLANK = b"0" * 64
_LIMIT = 100_000_000  # bytes of header that readers of safetensors accept
_BITS = 14_000  # of an integer; Python reads no number of more than 4,300 digits
_STORED = {
    "bool", "float16", "float32", "float64",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
}  # fmt: skip
_PAIRS = {"complex64": "float32", "complex128": "float64"}  # older safetensors know no complex numbers
_ELSE = "use an older checkpoint or another copy of this one"


class CheckpointError(OSError, ValueError):
    """A checkpoint that cannot be written or read; says which file, what is wrong and what to do next."""


def save(
    path: str | os.PathLike[str], arrays: Mapping[str, ArrayLike], meta: Mapping[str, Any] | None = None
) -> None:
    """Write arrays and meta to one file, whole or not at all.

    The file is written beside its place under another name, flushed to the disk and moved there in one step.
    Whatever happens on the way (an exception, a full disk, ``kill -9``, loss of power), ``path`` is the old
    file or the new one.  A killed process leaves its unfinished file behind; the next `save` to or `load`
    from ``path`` clears it away.  Several processes may save to one path: the last one stays.

    Parameters
    ----------
    path : str or path-like
        Where to; ``~`` is understood, a link is followed.  The folder must exist.
    arrays : mapping of str to array_like
        Booleans, integers, floats of 16 to 64 bits, complex numbers; any shape and memory layout.  They come
        back in C order and the machine's byte order.  Complex ones are stored as reals with a last axis of 2.
    meta : mapping of str, optional
        What JSON can say: dicts with text as keys, lists, text, True, False, None and numbers, of which nan,
        inf and integers of up to 14,000 bits are some.  Tuples come back as lists, NumPy's numbers as
        Python's.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    TypeError, ValueError
        If something in arrays or meta cannot be stored; nothing has been written then.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.train import checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "model"
    ...     checkpoint.save(path, {"weight": np.eye(2)}, {"epoch": 3})
    ...     checkpoint.load(path)
    ({'weight': array([[1., 0.],
           [0., 1.]])}, {'epoch': 3})
    """
    target = _real(path)
    pieces = _encode(arrays, meta or {})
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise CheckpointError(f"checkpoint.save: {target} is a folder; name a file in it")
    _clear_orphans(target)
    try:
        _replace(target, pieces)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"checkpoint.save: {target}: there is no folder {folder}; make it first: "
            f"pathlib.Path({folder!r}).mkdir(parents=True)"
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"checkpoint.save: {target} cannot be written: {error.strerror or error}; what was there before "
            f"is untouched; see to the room and the rights in {folder}, or save elsewhere"
        ) from error
    try:
        _flush_folder(folder)
    except OSError as error:
        raise CheckpointError(
            f"checkpoint.save: {target} is written, but its folder could not be flushed to the disk: "
            f"{error.strerror or error}; a loss of power may bring the old file back; save again"
        ) from error


def load(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `save` wrote: the arrays, in the order they were given in, and meta.

    Every byte is checked before any is used.  Lengths that the file states are compared with its own before
    anything is allocated; loading takes twice the size of the arrays, and what meta takes in Python.

    Raises
    ------
    CheckpointError
        If there is no such file, it is cut off, changed since it was saved, or no checkpoint.

    Examples
    --------
    See `save`.
    """
    target = _real(path)
    _clear_orphans(target)
    try:
        if not stat.S_ISREG(os.stat(target).st_mode):
            raise CheckpointError(f"checkpoint.load: {target} is no file; name the file that was saved")
        with open(target, "rb") as file:
            raw = file.read()
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(
            f"checkpoint.load: {target} cannot be read: {error.strerror or error}; see whether this is the "
            "path that was saved to, and who may read it"
        ) from error
    try:
        return _decode(raw)
    except CheckpointError as error:
        raise CheckpointError(f"checkpoint.load: {target} {error}") from error.__cause__


# ------------------------------------------------------------------ bytes


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as missing:
        raise ImportError("checkpoint: needs safetensors: pip install 'chainrule[train]'") from missing
    return safetensors


def _encode(arrays: Mapping[str, ArrayLike], meta: Mapping[str, Any]) -> tuple[memoryview | bytes, ...]:
    """Return the file in three pieces: before the digest, the digest, after it."""
    stored: dict[str, NDArray[Any]] = {}
    pairs: dict[str, str] = {}
    for name, given in arrays.items():
        array = np.asarray(given)
        kind = array.dtype.name
        _check_name(name)
        if kind in _PAIRS:
            pairs[name] = kind
            array, kind = np.stack((array.real, array.imag), axis=-1), _PAIRS[kind]
        elif kind not in _STORED:
            raise TypeError(
                f"checkpoint.save: arrays[{name!r}] has dtype {array.dtype}; expected booleans, integers, "
                "floats of 16, 32 or 64 bits, or complex numbers of 64 or 128; convert it, or put it into "
                "meta"
            )
        stored[name] = np.asarray(array, dtype=np.dtype(kind).newbyteorder("<"), order="C")
    notes = {"meta": _plain(meta, "meta"), "names": list(stored), "complex": pairs}
    text = f"sha256 {_BLANK.decode()} {json.dumps(notes)}"
    raw = memoryview(_safetensors().numpy.save(stored, metadata={"chainrule": text}))
    length = int.from_bytes(raw[:8], "little")
    if length > _LIMIT:
        raise ValueError(
            f"checkpoint.save: names and meta take {length:,} bytes; expected at most {_LIMIT:,}; put long "
            "lists of numbers into arrays"
        )
    at = bytes(raw[8 : 8 + length]).index(_MARK) + 8 + len(_MARK)
    return raw[:at], hashlib.sha256(raw).hexdigest().encode(), raw[at + len(_BLANK) :]


def _decode(raw: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    if len(raw) < 8:
        raise CheckpointError(f"has {len(raw)} bytes, too few for a checkpoint: it was cut off; {_ELSE}")
    length = int.from_bytes(raw[:8], "little")
    if length > min(len(raw) - 8, _LIMIT):
        raise CheckpointError(
            f"has {len(raw):,} bytes and says that {length:,} of them are its header: it was cut off or "
            f"changed, or is no checkpoint; {_ELSE}"
        )
    at = raw.find(_MARK, 8, 8 + length)
    if at < 0:
        raise CheckpointError(
            "carries no checksum where a checkpoint has it: it was changed, or another program wrote it; "
            f"{_ELSE}, or read it with safetensors.numpy.load_file"
        )
    at += len(_MARK)
    end = at + len(_BLANK)
    view = memoryview(raw)
    digest = hashlib.sha256(view[:at])
    digest.update(_BLANK)
    digest.update(view[end:])
    if digest.hexdigest().encode() != view[at:end]:
        raise CheckpointError(
            f"does not agree with its checksum: bytes were changed or cut off since it was saved; {_ELSE}"
        )
    # From here on only a file that somebody made on purpose can be wrong.
    library = _safetensors()
    try:
        text = json.loads(str(view[8 : 8 + length], "utf-8"))["__metadata__"]["chainrule"]
        notes = json.loads(text[len("sha256 ") + len(_BLANK) :])
        found = library.numpy.load(raw)
        arrays = {name: found.pop(name) for name in notes["names"]}
        if found or not isinstance(notes["meta"], dict):
            raise ValueError("its list of contents is wrong")
        for name, kind in notes["complex"].items():
            if arrays[name].dtype != _PAIRS[kind] or arrays[name].shape[-1:] != (2,):
                raise ValueError(f"{name!r} does not hold pairs of real numbers")
            arrays[name] = arrays[name].view(kind)[..., 0]
    except (
        ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
        library.SafetensorError,
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"agrees with its checksum but is no checkpoint of chainrule ({type(error).__name__}: {error}); "
            "do not trust where it came from"
        ) from error
    return arrays, notes["meta"]


def _check_name(name: Any) -> None:
    """Refuse what safetensors would refuse with less to say."""
    known = isinstance(name, str) and name != "__metadata__"
    if not known or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise TypeError(
            f"checkpoint.save: arrays has the name {name!r}; expected text that is valid Unicode and not "
            "'__metadata__'"
        )


def _plain(value: Any, where: str) -> Any:
    """Return what JSON will give back, or say where in meta something stands that JSON would change."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):
        if value.bit_length() > _BITS:
            raise ValueError(
                f"checkpoint.save: {where} is an integer of {value.bit_length():,} bits; expected at most "
                f"{_BITS:,}; store it as text, as in hex(n)"
            )
        return value
    if isinstance(value, list | tuple):
        return [_plain(one, f"{where}[{i}]") for i, one in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"checkpoint.save: {where} has the key {key!r}; expected text as keys")
        return {key: _plain(one, f"{where}[{key!r}]") for key, one in value.items()}
    raise TypeError(
        f"checkpoint.save: {where} is of type {type(value).__name__}; expected a dict, a list, text, a "
        "number, True, False or None; an array belongs into arrays"
    )


# ------------------------------------------------------------------ files


def _real(path: str | os.PathLike[str]) -> str:
    return os.path.realpath(os.path.expanduser(os.fspath(path)))


def _start_of_temporary(target: str) -> str:
    """Return how the names of unfinished files for this target begin, as short as names have to be."""
    return f".chainrule-{hashlib.sha256(os.path.basename(target).encode(errors='replace')).hexdigest()[:16]}-"


def _create(target: str) -> tuple[int, str]:
    """Open a new file beside the target.  Its lock, which ends with the process, says that it is in use."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        name = f"{_start_of_temporary(target)}{os.urandom(8).hex()}.tmp"
        temporary = os.path.join(os.path.dirname(target), name)
        descriptor = os.open(temporary, flags, 0o666)
        try:
            if lock(descriptor, wait=True) is not True or os.fstat(descriptor).st_nlink:
                return descriptor, temporary
        except BaseException:
            os.close(descriptor)
            _remove(temporary)
            raise
        os.close(descriptor)  # taken for an orphan before it was locked


def lock(descriptor: int, *, wait: bool) -> bool | None:
    """Take the file's lock; None where there are no locks, such as on some network drives."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _replace(target: str, pieces: tuple[memoryview | bytes, ...]) -> None:
    """Write the pieces to a file beside the target, flush it and move it into the target's place."""
    descriptor, temporary = _create(target)
    try:
        try:
            if os.path.exists(target) and hasattr(os, "fchmod"):  # what was private stays private
                os.fchmod(descriptor, stat.S_IMODE(os.stat(target).st_mode))
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            if os.name != "nt":
                os.replace(temporary, target)  # still locked: nobody takes it for an orphan
        finally:
            os.close(descriptor)
        if os.name == "nt":  # an open file cannot be moved there
            os.replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise


def _flush_folder(folder: str) -> None:
    """Flush the folder itself, which holds the names; without it a loss of power may undo the move."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear_orphans(target: str) -> None:
    """Remove unfinished files for this target that no living process holds."""
    if fcntl is None:
        return
    start = _start_of_temporary(target)
    try:
        with os.scandir(os.path.dirname(target)) as entries:
            names = [entry.path for entry in entries if entry.name.startswith(start)]
    except OSError:
        return
    for temporary in names:
        try:
            descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if lock(descriptor, wait=False):
                _remove(temporary)
        finally:
            os.close(descriptor)


def _remove(temporary: str) -> None:
    with contextlib.suppress(OSError):  # gone already, or the folder may not be changed
        os.remove(temporary)
