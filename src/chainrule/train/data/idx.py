"""IDX, the format of the MNIST family: a few bytes of header, then numbers; often compressed with gzip."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.train.data.damage import DataError

__all__ = ["load_idx"]

# the third byte of the file; numbers are big-endian
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_DEFLATE = 1032  # the most bytes that one compressed byte can stand for (zlib's technical notes)


def load_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read one array from an IDX file, compressed with gzip or not, whatever its name ends with.

    The format is that of http://yann.lecun.com/exdb/mnist: two zero bytes, the dtype, the number of axes,
    each axis's length as a big-endian 32-bit integer, the numbers in C order.

    Returns
    -------
    ndarray
        In the machine's byte order, of dtype uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If the file is no IDX file, is cut off, has bytes left over, or gzip's checksum does not agree.  A
        header that promises more than the file can hold is refused before anything is allocated.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from chainrule.train import data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels.idx"
    ...     _ = path.write_bytes(bytes([0, 0, 0x08, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     data.load_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    path = os.path.expanduser(os.fspath(path))
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        packed = file.read(2) == _GZIP
        file.seek(0)
        try:
            if not packed:
                return _read(file, size)
            with gzip.open(file) as unpacked:
                return _read(unpacked, size * _DEFLATE)  # type: ignore[arg-type]
        except (ValueError, EOFError, MemoryError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"load_idx: {path}: {error}; get the file again") from error


def _read(file: IO[bytes], most: int) -> NDArray[Any]:
    """Read an array from a file that holds at most so many bytes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise DataError(
            f"begins with the bytes {magic.hex(' ') or '(none)'}; expected 00 00, then one of 08, 09, 0b, "
            "0c, 0d, 0e (the dtype), then the number of axes: this is no IDX file, or a damaged one"
        )
    axes = magic[3]
    header = file.read(4 * axes)
    if len(header) < 4 * axes:
        raise DataError(f"ends in its header, which says that {axes} lengths follow")
    shape = tuple(np.frombuffer(header, ">u4").tolist())
    dtype = np.dtype(_DTYPES[magic[2]])
    wanted = math.prod(shape) * dtype.itemsize
    if axes > 64 or wanted > most - 4 - 4 * axes:
        raise DataError(f"says shape {shape} and dtype {dtype.name}, more than the file can hold")
    array = np.empty(shape, dtype)
    place = memoryview(array.reshape(-1).view(np.uint8).data)
    got = 0
    while got < wanted and (count := file.readinto(place[got:])):  # type: ignore[attr-defined]
        got += count
    if got < wanted:
        raise DataError(
            f"holds {got} bytes after its header, which says shape {shape}: {wanted} bytes; it was cut off"
        )
    if file.read(1):  # with gzip, the end is also where its checksum is compared
        raise DataError(f"goes on after the {wanted} bytes that its header says, shape {shape}")
    return array.astype(dtype.newbyteorder("="), copy=False)
