"""The disk cache: what is damaged or strange counts as absent, and nothing is ever raised."""

import errno
import hashlib
import inspect
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from chainrule.native import cache

KEY = hashlib.sha256(b"key").hexdigest()
BLOB = b"not really machine code"


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def stored(directory, key=KEY, blob=BLOB):
    cache.store(key, blob)
    assert cache.lookup(key) == blob
    return directory / key


# -------------------------------------------------------------------- the ordinary


def test_round_trip(directory):
    assert cache.lookup(KEY) is None
    entry = stored(directory)
    assert os.listdir(directory) == [KEY]
    assert directory.stat().st_mode & 0o777 == 0o700
    assert entry.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("blob", [b"", b"\0" * 10, os.urandom(3_000_000)], ids=["empty", "zeros", "large"])
def test_any_blob(directory, blob):
    stored(directory, blob=blob)


def test_store_again_replaces(directory):
    stored(directory)
    stored(directory, blob=b"other")


def test_an_entry_under_another_name_is_not_taken(directory):
    entry = stored(directory)
    other = hashlib.sha256(b"other").hexdigest()
    entry.rename(directory / other)
    assert cache.lookup(other) is None


# -------------------------------------------------------------------- where it is


def test_places(tmp_path, monkeypatch):
    monkeypatch.delenv("CHAINRULE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for xdg, place in (
        (str(tmp_path / "xdg"), "xdg/chainrule"),
        ("", "home/.cache/chainrule"),
        ("relative", "home/.cache/chainrule"),
    ):
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
        stored(tmp_path / place)
        assert (tmp_path / place / KEY).is_file()
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.lookup(KEY) == BLOB


@pytest.mark.parametrize("off", ["", "off"])
def test_off(tmp_path, monkeypatch, off):
    monkeypatch.setenv("CHAINRULE_CACHE", off)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    cache.store(KEY, BLOB)
    assert cache.lookup(KEY) is None and os.listdir(tmp_path) == []


def test_no_home_directory(monkeypatch):
    monkeypatch.delenv("CHAINRULE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    cache.store(KEY, BLOB)
    assert cache.lookup(KEY) is None


def test_a_system_without_descriptors_of_directories(directory, monkeypatch):
    monkeypatch.setattr(cache, "HAS_DESCRIPTORS", False)
    cache.store(KEY, BLOB)
    assert cache.lookup(KEY) is None and not directory.exists()


# -------------------------------------------------------------------- damaged


def test_truncated_at_every_length(directory):
    entry = stored(directory)
    whole = entry.read_bytes()
    for length in range(len(whole)):
        entry.write_bytes(whole[:length])
        assert cache.lookup(KEY) is None
    entry.write_bytes(whole + b"\0")
    assert cache.lookup(KEY) is None
    stored(directory)  # absent, so it is written anew
    assert entry.read_bytes() == whole


def test_every_byte_flipped(directory):
    entry = stored(directory)
    whole = entry.read_bytes()
    for i in range(len(whole)):
        for bit in (1, 128):
            entry.write_bytes(whole[:i] + bytes([whole[i] ^ bit]) + whole[i + 1 :])
            assert cache.lookup(KEY) is None
    entry.write_bytes(whole)
    assert cache.lookup(KEY) == BLOB


# -------------------------------------------------------------------- planted


def refused():
    assert cache.lookup(KEY) is None
    cache.store(KEY, BLOB)  # and nothing is raised


def test_symlinked_entry(directory, tmp_path):
    entry = stored(directory)
    planted = tmp_path / "planted"
    entry.rename(planted)
    entry.symlink_to(planted)
    assert cache.lookup(KEY) is None
    before = planted.read_bytes()
    stored(directory, blob=b"new")  # the link is replaced, not followed
    assert not entry.is_symlink() and planted.read_bytes() == before


def test_symlinked_directory(directory, tmp_path):
    stored(directory)
    directory.rename(tmp_path / "elsewhere")
    directory.symlink_to(tmp_path / "elsewhere")
    refused()
    assert os.listdir(tmp_path / "elsewhere") == [KEY]


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o770, 0o1777])
def test_directory_others_may_write_to(directory, mode):
    entry = stored(directory)
    before = entry.stat()
    directory.chmod(mode)
    refused()
    assert entry.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_entry_others_may_write_to(directory, mode):
    entry = stored(directory)
    entry.chmod(mode)
    assert cache.lookup(KEY) is None
    stored(directory)
    assert entry.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["getuid", "geteuid"])
def test_directory_of_someone_else(directory, monkeypatch, name):
    stored(directory)
    uid = getattr(os, name)()
    monkeypatch.setattr(os, name, lambda: uid + 1)
    refused()


def test_entry_of_someone_else(directory, monkeypatch):
    entry = stored(directory)
    fstat = os.fstat

    def foreign(descriptor):
        status = fstat(descriptor)
        ours = status.st_ino != entry.stat().st_ino
        values = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
        return SimpleNamespace(**{**values, "st_uid": status.st_uid + (not ours)})

    monkeypatch.setattr(os, "fstat", foreign)
    assert cache.lookup(KEY) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_directory_as_entry(directory):
    entry = stored(directory)
    entry.unlink()
    os.mkfifo(entry, 0o600)
    assert cache.lookup(KEY) is None  # and it does not wait for a writer
    entry.unlink()
    entry.mkdir()
    refused()
    assert os.listdir(directory) == [KEY]


def test_a_file_where_the_directory_should_be(directory):
    directory.write_bytes(b"hello")
    refused()
    assert directory.read_bytes() == b"hello"


def test_a_file_above_the_directory(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"hello")
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "file" / "cache"))
    refused()


# -------------------------------------------------------------------- no room, no rights


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("function", ["write", "replace", "close", "open", "mkdir"])
def test_every_step_may_fail(directory, monkeypatch, function, number):
    if function != "mkdir":
        stored(directory, key="1" * 64)
    real = getattr(os, function)

    def failing(*args, **kwargs):
        wanted = function != "open" or (len(args) > 1 and args[1] & os.O_CREAT)
        if function == "close":
            real(*args)  # the descriptor is gone, whatever close says
        if wanted:
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing)
        cache.store(KEY, BLOB)
        assert cache.lookup("2" * 64) is None
    assert cache.lookup(KEY) is None
    if directory.exists():
        assert os.listdir(directory) in (["1" * 64], [])  # no half-written file stays
    stored(directory)


def test_disk_full_in_the_middle(directory, monkeypatch):
    real, written = os.write, []

    def few_then_none(descriptor, data):
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(1)
        return real(descriptor, bytes(data[:7]))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", few_then_none)
        cache.store(KEY, BLOB)
    assert written and os.listdir(directory) == []


def test_short_writes(directory, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:5])))
    stored(directory)


def test_read_only_directory(directory, monkeypatch):
    entry = stored(directory)
    real = os.open

    def no_rights(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", no_rights)
    cache.store(KEY, b"new")
    assert cache.lookup(KEY) == BLOB and entry.is_file()


def test_read_only_entry_is_used_though_it_cannot_be_touched(directory, monkeypatch):
    stored(directory)

    def read_only(*args):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", read_only)
    assert cache.lookup(KEY) == BLOB


def test_an_interrupt_passes_and_leaves_nothing(directory, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.store(KEY, BLOB)
    assert os.listdir(directory) == []


# -------------------------------------------------------------------- size


def test_the_oldest_go_when_it_is_full(directory, monkeypatch):
    keys = [f"1{i:063x}" for i in range(10)]
    for age, key in enumerate(keys):
        entry = stored(directory, key, bytes(1000))
        os.utime(entry, (1_000_000 + age, 1_000_000 + age))
    assert cache.lookup(keys[0]) is not None  # used just now, so it is young again
    size = (directory / keys[0]).stat().st_size
    monkeypatch.setattr(cache, "LIMIT", 5 * size)
    new = "0" * 64
    stored(directory, new, bytes(1000))
    assert set(os.listdir(directory)) == {new, keys[0], *keys[-3:]}


def test_it_never_grows_far_beyond_the_limit(directory, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 20_000)
    for i in range(200):
        cache.store(hashlib.sha256(bytes([i])).hexdigest(), bytes(1000))
    assert sum(entry.stat().st_size for entry in directory.iterdir()) < 20_000 + 60 * 1100


def test_descriptors_are_closed(directory, tmp_path):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    entry = stored(directory)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        cache.lookup(KEY)
        cache.lookup("5" * 64)
        cache.store(KEY, BLOB)
        entry.chmod(0o666)
        cache.lookup(KEY)
        directory.chmod(0o777)
        refused()
        directory.chmod(0o700)
    assert len(os.listdir("/proc/self/fd")) == before


# -------------------------------------------------------------------- many at once


def write_and_read(place, seed):
    os.environ["CHAINRULE_CACHE"] = place
    wrong = 0
    for i in range(60):
        key = f"{(i + seed) % 7:064x}"
        blob = key.encode() * (1 + i % 3 * 1000)
        cache.store(key, blob)
        found = cache.lookup(key)
        wrong += found is None or found.strip(key.encode()) != b"" or len(found) % 64 != 0
    return wrong


def test_eight_processes_at_once(directory):
    # the cache needs the standard library only, so its file is enough; the rest would take seconds to import
    program = (
        "import importlib.util, os, sys\n"
        "spec = importlib.util.spec_from_file_location('cache', sys.argv[1])\n"
        "cache = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(cache)\n"
        + inspect.getsource(write_and_read)
        + "sys.exit(write_and_read(sys.argv[2], int(sys.argv[3])))\n"
    )
    arguments = [sys.executable, "-c", program, cache.__file__, str(directory)]
    processes = [subprocess.Popen([*arguments, str(seed)]) for seed in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    assert sorted(os.listdir(directory)) == [f"{i:064x}" for i in range(7)]


def test_eight_threads_at_once(directory):
    wrong = []
    threads = [
        threading.Thread(target=lambda seed=seed: wrong.append(write_and_read(str(directory), seed)))
        for seed in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [0] * 8
    assert sorted(os.listdir(directory)) == [f"{i:064x}" for i in range(7)]
