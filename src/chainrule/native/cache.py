"""Object code kept on disk from one process to the next.

What is read here is executed. So an entry counts only if nobody else can have written it: the directory and
the file are our own, are not symbolic links, and nobody else may write to them. All of it is checked on open
descriptors, so nothing can be swapped between the check and the use. A checksum finds what a full disk or a
crash has damaged. No failure is raised: without the cache everything works, only slower.

The directory is ``$CHAINRULE_CACHE``, else ``$XDG_CACHE_HOME/chainrule``, else ``~/.cache/chainrule``. An
empty ``CHAINRULE_CACHE``, or ``off``, turns the cache off. So does Windows, which has no such descriptors.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["lookup", "store"]

LIMIT = 512 << 20  # bytes in all; beyond it the entries go that have not been used for longest
HAS_DESCRIPTORS = os.open in os.supports_dir_fd
MAGIC = b"chainrule object 1\n"  # with the version of this format
HEADER = struct.Struct(f"<{len(MAGIC)}sQ32s")  # magic, length of the blob, sha256 of key and blob


def lookup(key: str) -> bytes | None:
    """The blob stored under ``key``, a hexadecimal hash, or None where there is none to be trusted."""
    try:
        with _directory() as directory:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not make us wait
            with open(os.open(key, flags, dir_fd=directory), "rb") as file:
                if not _is_ours(file.fileno(), stat.S_ISREG):
                    return None
                header, blob = file.read(HEADER.size), file.read()
                if header != _header(key, blob):
                    return None
                with contextlib.suppress(OSError):
                    os.utime(file.fileno())  # used just now
                return blob
    except Exception:  # whatever it is, the code can be compiled again
        return None


def store(key: str, blob: bytes) -> None:
    """Keep ``blob`` under ``key`` if possible.

    The entry gets its name when it is whole, so nobody ever meets half of it.
    """
    with contextlib.suppress(Exception), _directory() as directory:
        temporary = f"{key}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
        try:
            try:
                rest = memoryview(_header(key, blob) + blob)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            finally:
                os.close(descriptor)
            os.replace(temporary, key, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(temporary, dir_fd=directory)
            raise
        if key.startswith("0"):  # one time in sixteen: it looks at every file
            _prune(directory)


def _header(key: str, blob: bytes) -> bytes:
    checksum = hashlib.sha256(key.encode() + b"\0" + blob).digest()
    return HEADER.pack(MAGIC, len(blob), checksum)


@contextlib.contextmanager
def _directory() -> Iterator[int]:
    """Descriptor of the directory, which is made if it is not there; OSError if it is not ours alone."""
    path = os.environ.get("CHAINRULE_CACHE")
    if path is None:
        caches = os.environ.get("XDG_CACHE_HOME", "")
        # the standard wants a relative path there to be ignored
        path = str((Path(caches) if os.path.isabs(caches) else Path.home() / ".cache") / "chainrule")
    if path in ("", "off") or not HAS_DESCRIPTORS:
        raise OSError("the cache is off")
    with contextlib.suppress(FileExistsError):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.mkdir(path, 0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not _is_ours(descriptor, stat.S_ISDIR):
            raise PermissionError(f"{path} belongs to someone else, or others may write to it")
        yield descriptor
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int, of_kind: Callable[[int], bool]) -> bool:
    status = os.fstat(descriptor)
    # A program that runs with another user's rights (setuid) must not trust that user's environment.
    owners = {status.st_uid, os.getuid(), os.geteuid()}
    return of_kind(status.st_mode) and len(owners) == 1 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _prune(directory: int) -> None:
    """Remove what has not been used for longest, until the rest fits into `LIMIT`."""
    with os.scandir(directory) as entries:
        files = [(entry.stat(follow_symlinks=False), entry.name) for entry in entries]
    total = sum(status.st_size for status, _ in files)
    for status, name in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if total <= LIMIT:
            break
        with contextlib.suppress(OSError):  # another process may have been quicker
            os.unlink(name, dir_fd=directory)
        total -= status.st_size
