"""Checkpoints: what is saved comes back, what is damaged is refused, what is interrupted is old or new."""

import hashlib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import textwrap
import time
import tracemalloc

import numpy as np
import pytest

from chainrule import train
from chainrule.train import CheckpointError, checkpoint

safetensors = pytest.importorskip("safetensors.numpy")

RNG = np.random.default_rng(0)
ARRAYS = {
    "bool": RNG.integers(0, 2, (3, 4)).astype(bool),
    **{f"int{bits}": RNG.integers(-100, 100, 5).astype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": RNG.integers(0, 100, 5).astype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": RNG.normal(size=(2, 3)).astype(f"float{bits}") for bits in (16, 32, 64)},
    "complex64": (RNG.normal(size=(2, 3)) + 1j * RNG.normal(size=(2, 3))).astype(np.complex64),
    "complex128": RNG.normal(size=4) + 1j * RNG.normal(size=4),
    "special": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
    "special complex": np.array([complex(-0.0, np.nan), complex(np.inf, -0.0)]),
    "0-d": np.array(2.5),
    "0-d complex": np.array(2.5 - 1j),
    "empty": np.zeros((0, 3)),
    "empty complex": np.zeros((2, 0), complex),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "every other": np.arange(10)[::2],
    "backwards": np.arange(4.0)[::-1],
    "broadcast": np.broadcast_to(np.float32(3), (2, 2)),
    "big-endian": np.arange(4, dtype=">f8"),
    "big-endian complex": np.arange(4, dtype=">c16"),
    "ψ \"quoted\" \\ \n </script>": np.ones(1),
    "chainrule": np.ones(2),
    "": np.ones(1),
    "list": [1.0, 2.0],
}  # fmt: skip
META = {
    "nothing": None, "yes": True, "no": False, "text": "ψ \ud800 \"chainrule\":\"sha256 ",
    "numbers": [0, -1, 0.1, 1e300, 5e-324, -0.0, float("inf"), float("-inf"), float("nan")],
    "long": [2**63, 2**64, 2**127 + 1, -(2**4000)],
    "nested": {"": {"a": [[], {}, [{"b": [None]}]]}},
    "rng": np.random.default_rng(7).bit_generator.state,
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    a = a.astype(a.dtype.newbyteorder("="))
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


# ------------------------------------------------------------------ there and back


def test_arrays_of_every_kind_come_back_in_their_order_and_can_be_written_to(path):
    checkpoint.save(path, ARRAYS, {})
    arrays, meta = checkpoint.load(path)
    assert list(arrays) == list(ARRAYS)
    assert meta == {}
    for name, array in ARRAYS.items():
        same(array, arrays[name])
        arrays[name][...] = 0


def test_meta_comes_back_bit_for_bit(path):
    checkpoint.save(path, {}, META)
    _, meta = checkpoint.load(path)
    assert repr(meta) == repr(META)  # tells -0.0 from 0.0, 1 from True and finds nan equal to nan
    rng = np.random.default_rng()
    rng.bit_generator.state = meta["rng"]
    assert rng.random() == np.random.default_rng(7).random()


def test_tuples_come_back_as_lists_and_numpys_numbers_as_pythons(path):
    checkpoint.save(path, {}, {"a": (1, (2,)), "b": np.int64(3), "c": np.float32(0.1), "d": np.True_})
    assert checkpoint.load(path)[1] == {"a": [1, [2]], "b": 3, "c": float(np.float32(0.1)), "d": True}


def test_any_reader_of_safetensors_reads_it(path):
    checkpoint.save(path, {"w": np.eye(3, dtype=np.float32), "z": np.array([1 + 2j])}, {"epoch": 3})
    found = safetensors.load_file(path)
    np.testing.assert_array_equal(found["w"], np.eye(3))
    np.testing.assert_array_equal(found["z"], [[1.0, 2.0]])


def test_the_same_contents_are_the_same_bytes(path, tmp_path):
    for name in "model", "again":
        checkpoint.save(tmp_path / name, ARRAYS, META)
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_paths_as_people_write_them(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for where in "~/a", "b", "./c", "x" * 255:
        checkpoint.save(kind(where), {"a": np.ones(2)})
        same(checkpoint.load(kind(where))[0]["a"], np.ones(2))
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c", "x" * 255]


def test_a_link_stays_a_link_and_rights_stay(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "model", tmp_path / "link"
    link.symlink_to(real)
    checkpoint.save(link, {"a": np.ones(2)})
    real.chmod(0o600)
    checkpoint.save(link, {"a": np.zeros(2)})
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    same(checkpoint.load(real)[0]["a"], np.zeros(2))
    assert os.listdir(tmp_path / "real") == ["model"]


def test_it_is_imported_with_numpy_alone(path):
    run_script(
        """
        assert not [name for name in sys.modules if name.startswith(("chainrule", "safetensors", "scipy"))]
    """,
        path,
    )


# ------------------------------------------------------------------ refused before anything is written


@pytest.mark.parametrize(("arrays", "meta", "error", "match"), [
    ({"a": np.array(["x"])}, {}, TypeError, r"arrays\['a'\] has dtype <U1; expected booleans"),
    ({"a": np.array([None])}, {}, TypeError, r"arrays\['a'\] has dtype object"),
    ({"a": np.zeros(2, "M8[s]")}, {}, TypeError, r"arrays\['a'\] has dtype datetime64"),
    ({"a": np.zeros(2, [("x", "f4")])}, {}, TypeError, r"arrays\['a'\] has dtype"),
    ({"__metadata__": np.ones(1)}, {}, TypeError, "the name '__metadata__'"),
    ({"\ud800": np.ones(1)}, {}, TypeError, "valid Unicode"),
    ({1: np.ones(1)}, {}, TypeError, "the name 1"),
    ({}, {"a": {1: 2}}, TypeError, r"meta\['a'\] has the key 1; expected text"),
    ({}, {"a": [0, {"b": np.ones(2)}]}, TypeError,
     r"meta\['a'\]\[1\]\['b'\] is of type ndarray.*belongs into arrays"),
    ({}, {"a": b"x"}, TypeError, r"meta\['a'\] is of type bytes"),
    ({}, {"a": 10**5000}, ValueError, r"meta\['a'\] is an integer of 16,610 bits.*hex"),
])  # fmt: skip
def test_what_cannot_be_stored_is_named_and_the_old_file_stays(arrays, meta, error, match, path):
    checkpoint.save(path, {"a": np.ones(1)})
    before = path.read_bytes()
    with pytest.raises(error, match=match):
        checkpoint.save(path, arrays, meta)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["model"]


def test_a_header_that_readers_would_refuse_is_refused_when_saving(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_LIMIT", 1000)
    with pytest.raises(ValueError, match=r"take [\d,]+ bytes; expected at most 1,000; put long lists"):
        checkpoint.save(path, {}, {"log": list(range(1000))})


def test_without_safetensors_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'chainrule\[train\]'"):
        checkpoint.save(path, {})


# ------------------------------------------------------------------ places that will not do


def test_places_that_will_not_do(tmp_path, path):
    def refused(call, match):
        with pytest.raises(CheckpointError, match=match) as found:
            call()
        assert isinstance(found.value, OSError)
        assert isinstance(found.value, ValueError)
        assert str(tmp_path) in str(found.value)

    refused(lambda: checkpoint.save(tmp_path, {}), "is a folder; name a file in it")
    refused(
        lambda: checkpoint.save(tmp_path / "no" / "where", {}),
        r"there is no folder .*no; make it.*parents=True",
    )
    refused(lambda: checkpoint.load(path), "model cannot be read: No such file")
    refused(lambda: checkpoint.load(tmp_path), "is no file")
    (tmp_path / "file").write_text("x")
    refused(lambda: checkpoint.save(tmp_path / "file" / "model", {}), "cannot be written: Not a directory")
    refused(lambda: checkpoint.save(tmp_path / ("x" * 256), {}), "cannot be written: File name too long")
    os.mkfifo(path)
    refused(lambda: checkpoint.load(path), "is no file")
    path.unlink()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused(lambda: checkpoint.load(tmp_path / "loop"), "Too many levels of symbolic links")


def test_a_folder_without_the_right_to_write(path):
    run_script("""
        import tempfile, safetensors.numpy
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/model"
            checkpoint.save(path, {"a": np.ones(1)})
            os.chmod(folder, 0o555)
            root = os.geteuid() == 0
            if root:  # may write everywhere
                os.seteuid(65534)
            try:
                checkpoint.save(path, {})
            except checkpoint.CheckpointError as error:
                assert f"{path} cannot be written: Permission denied" in str(error), error
            else:
                raise SystemExit("no error")
            assert list(checkpoint.load(path)[0]) == ["a"]
            if root:
                os.seteuid(0)
            os.chmod(folder, 0o700)
    """, path)  # fmt: skip


# ------------------------------------------------------------------ damage


@pytest.fixture(scope="module")
def four_kilobytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "model"
    rng = np.random.default_rng(1)
    arrays = {
        "weight": rng.normal(size=(20, 15)),
        "bias": rng.normal(size=15).astype("f4"),
        "z": np.array([1 + 2j]),
    }
    checkpoint.save(
        path, arrays, {"epoch": 3, "rng": rng.bit_generator.state, "loss": [0.5, 0.25], "note": "x" * 980}
    )
    raw = path.read_bytes()
    assert 4000 < len(raw) < 4200, len(raw)
    checkpoint._decode(raw)
    return raw


def test_every_bit_flipped_is_a_named_error(four_kilobytes):
    raw = bytearray(four_kilobytes)
    for at in range(len(raw)):
        for bit in range(8):
            raw[at] ^= 1 << bit
            with pytest.raises(CheckpointError):
                checkpoint._decode(bytes(raw))
            raw[at] ^= 1 << bit


def test_a_flipped_byte_in_a_file_names_the_file(four_kilobytes, path):
    for at in range(0, len(four_kilobytes), 16):
        raw = bytearray(four_kilobytes)
        raw[at] ^= 0xFF
        path.write_bytes(raw)
        with pytest.raises(CheckpointError, match=re.escape(f"checkpoint.load: {path} ")):
            checkpoint.load(path)


def test_every_length_is_a_named_error(four_kilobytes, path):
    for length in range(len(four_kilobytes)):
        with pytest.raises(CheckpointError, match="an older checkpoint or another copy"):
            checkpoint._decode(four_kilobytes[:length])
    for length in range(0, len(four_kilobytes), 64):
        path.write_bytes(four_kilobytes[:length])
        with pytest.raises(CheckpointError, match=re.escape(f"checkpoint.load: {path} ")):
            checkpoint.load(path)
    for more in b"\0", b" ", four_kilobytes:
        path.write_bytes(four_kilobytes + more)
        with pytest.raises(CheckpointError):
            checkpoint.load(path)


def test_files_of_other_programs_are_named(path):
    np.save(path.with_suffix(".npy"), np.zeros(100))
    with pytest.raises(CheckpointError, match="or is no checkpoint"):
        checkpoint.load(path.with_suffix(".npy"))
    safetensors.save_file({"a": np.ones(3)}, path)
    with pytest.raises(CheckpointError, match=r"another program wrote it.*safetensors\.numpy\.load_file"):
        checkpoint.load(path)


def sealed(raw):
    """The same bytes with a digest that agrees, as somebody who means harm would write them."""
    at = raw.find(checkpoint._MARK) + len(checkpoint._MARK)
    if at < len(checkpoint._MARK) or at + 64 > len(raw):
        return raw
    blank = raw[:at] + b"0" * 64 + raw[at + 64 :]
    return raw[:at] + hashlib.sha256(blank).hexdigest().encode() + raw[at + 64 :]


def with_header(raw, header):
    length = int.from_bytes(raw[:8], "little")
    return len(header).to_bytes(8, "little") + header + raw[8 + length :]


def test_ten_thousand_mutated_headers(four_kilobytes):
    raw, rng = four_kilobytes, random.Random(0)
    length = int.from_bytes(raw[:8], "little")
    header = raw[8 : 8 + length]
    tokens = [
        b"F64", b"F32", b"BF16", b"U8", b"C64", b"F4", b"[", b"]", b"{", b"}", b",", b'"', b"0", b"1", b"-1",
        b"1e9", b"\\", b"9" * 30, b"18446744073709551615", b"null", b"NaN", b"\xff", b"\0", b"[0,0]",
        b'"weight"', b'"shape"', b'"data_offsets"', b'\\"names\\"', b'\\"complex\\"', b"complex64",
        b'{"a":' * 3000, b"[" * 100_000,
        b"[20,15]", b"[0,2400]",
    ]  # fmt: skip
    opened = 0
    tracemalloc.start()
    try:
        for trial in range(10_000):
            new = bytearray(header)
            for _ in range(rng.choice((1, 1, 2, 5))):
                at, count = rng.randrange(len(new)), rng.choice((0, 1, 1, 3, 10))
                other = rng.randrange(len(new))
                new[at : at + count] = rng.choice((
                    rng.choice(tokens), rng.randbytes(count), new[other : other + rng.randrange(40)],
                ))  # fmt: skip
            changed = with_header(raw, bytes(new))
            if trial % 10 == 0:
                changed = (
                    rng.choice((0, 1, length - 1, 2**31, 2**63, 2**64 - 1)).to_bytes(8, "little") + raw[8:]
                )
            if changed == raw:
                continue
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with pytest.raises(CheckpointError):
                checkpoint._decode(changed)
            assert tracemalloc.get_traced_memory()[1] - before < 20_000  # beside the file
            changed = sealed(changed)
            try:
                arrays, meta = checkpoint._decode(changed)
            except CheckpointError:
                pass
            else:  # whoever can seal a file can change a number in it, but not ask for more than is there
                opened += 1
                assert sum(array.nbytes for array in arrays.values()) <= len(changed)
                json.dumps(meta)
            # arrays once more, the header as text, its part that is JSON, and objects for a few numbers
            assert tracemalloc.get_traced_memory()[1] - before < 3 * len(changed) + 60_000
    finally:
        tracemalloc.stop()
    assert opened > 100, "mutations that leave valid files are to be among them"


@pytest.mark.parametrize("shape", [[2**40], [2**32, 2**32], [2**62, 4], [2**64], [-1], [0.5], "x", [[1]]])
def test_lengths_that_lie_are_refused_before_anything_is_allocated(shape, four_kilobytes):
    length = int.from_bytes(four_kilobytes[:8], "little")
    header = four_kilobytes[8 : 8 + length].replace(b"[20,15]", json.dumps(shape).encode())
    changed = sealed(with_header(four_kilobytes, header))
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="do not trust where it came from"):
            checkpoint._decode(changed)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(changed) + 50_000
    finally:
        tracemalloc.stop()


def test_loading_takes_twice_the_size_of_the_arrays(path):
    checkpoint.save(path, {name: np.ones(500_000) for name in "abcd"})
    size = path.stat().st_size
    tracemalloc.start()
    try:
        checkpoint.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * size + 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("change", [
    lambda notes: notes.pop("names"),
    lambda notes: notes["names"].pop(),
    lambda notes: notes["names"].append("weight"),
    lambda notes: notes.update(names=3),
    lambda notes: notes.update(meta=[]),
    lambda notes: notes["complex"].update(weight="complex128"),
    lambda notes: notes["complex"].update(z="complex64"),
    lambda notes: notes["complex"].update(z="object"),
    lambda notes: notes["complex"].update(nothing="complex64"),
    lambda notes: notes.update(complex=[1]),
])  # fmt: skip
def test_contents_that_disagree_are_a_named_error(change, four_kilobytes):
    length = int.from_bytes(four_kilobytes[:8], "little")
    header = json.loads(four_kilobytes[8 : 8 + length])
    start, text = header["__metadata__"]["chainrule"][:72], header["__metadata__"]["chainrule"][72:]
    notes = json.loads(text)
    change(notes)
    header["__metadata__"]["chainrule"] = start + json.dumps(notes)
    new = json.dumps(header, separators=(",", ":")).encode()
    with pytest.raises(CheckpointError, match="do not trust where it came from"):
        checkpoint._decode(sealed(with_header(four_kilobytes, new)))


# ------------------------------------------------------------------ interruptions

OLD, NEW = ({"a": np.full(1000, k)} for k in (1.0, 2.0))


@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace", "fchmod", "fstat", "close"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), OSError(5, "Input/output error"), KeyboardInterrupt()]
)
def test_a_fault_in_each_call_of_the_system_leaves_the_old_or_the_new(name, error, path, monkeypatch):
    """The n-th call fails, for each n there is."""
    real, calls, n = getattr(os, name), 0, 0

    def failing(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == n:
            if name == "close":  # it closes, and complains
                real(*args, **kwargs)
            raise error
        return real(*args, **kwargs)

    while True:
        checkpoint.save(path, OLD, {"k": 1})
        n, calls = n + 1, 0
        with monkeypatch.context() as patched:
            patched.setattr(checkpoint.os, name, failing)
            expected = CheckpointError if isinstance(error, OSError) else KeyboardInterrupt
            try:
                checkpoint.save(path, NEW, {"k": 2})
            except expected as found:
                assert expected is KeyboardInterrupt or (
                    str(path) in str(found) and error.strerror in str(found)
                )
            else:
                if calls < n:
                    break
                # only clearing orphans may forgive
                assert name == "open"
        arrays, meta = checkpoint.load(path)
        assert (arrays["a"] == meta["k"]).all()
        assert os.listdir(path.parent) == ["model"], (name, n)
    assert n > 1


def test_a_write_of_fewer_bytes_than_asked_for_goes_on(path, monkeypatch):
    real = os.write
    monkeypatch.setattr(checkpoint.os, "write", lambda descriptor, data: real(descriptor, data[:100]))
    checkpoint.save(path, NEW, {"k": 2})
    same(checkpoint.load(path)[0]["a"], NEW["a"])


def run_script(script, path, timeout=120):
    """Run a script in a process of its own, which has `checkpoint`, loaded by itself, and `path`."""
    start = f"""
        import importlib.util, mmap, os, random, resource, signal, sys, time
        import numpy as np
        spec = importlib.util.spec_from_file_location("checkpoint", {checkpoint.__file__!r})
        checkpoint = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(checkpoint)
        path = {str(path)!r}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(start) + textwrap.dedent(script)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_full_disk_leaves_the_old_file(path):
    run_script("""
        checkpoint.save(path, {"a": np.ones(10)}, {"k": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
        try:
            checkpoint.save(path, {"a": np.zeros(100_000)}, {"k": 2})
        except checkpoint.CheckpointError as error:
            said = f"{path} cannot be written: File too large; what was there before is untouched"
            assert said in str(error), error
        else:
            raise SystemExit("no error")
        assert checkpoint.load(path)[1] == {"k": 1}
        assert os.listdir(os.path.dirname(path)) == ["model"]
    """, path)  # fmt: skip


def test_200_kills_at_random_moments(path):
    """A process saves until it is killed; what it has begun and done it counts in shared memory."""
    printed = run_script("""
        checkpoint.save(path, {"a": np.zeros(5000)}, {"k": 0})
        numbers = np.frombuffer(mmap.mmap(-1, 16), np.int64)
        rng = random.Random(0)
        orphans = seen = last = 0
        for trial in range(200):
            child = os.fork()
            if not child:
                k = trial * 100_000
                while True:
                    k += 1
                    numbers[0] = k
                    checkpoint.save(path, {"a": np.full(5000, float(k)), "b": np.full(7, k)}, {"k": k})
                    numbers[1] = k
            while numbers[0] <= trial * 100_000:
                time.sleep(1e-4)  # a busy machine takes its time to begin
            time.sleep(rng.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            orphans += len(os.listdir(os.path.dirname(path))) > 1
            arrays, meta = checkpoint.load(path)
            k = meta["k"]
            assert k in (last, *numbers) and k >= max(last, numbers[1]), (k, last, numbers)
            last = k
            assert k == 0 or all((array == k).all() for array in arrays.values())
            assert os.listdir(os.path.dirname(path)) == ["model"]
            seen += k > trial * 100_000
        print(orphans, seen)
    """, path)  # fmt: skip
    orphans, seen = map(int, printed.split())
    assert orphans > 10, "kills have to fall into the time of writing"
    assert seen > 50, "and some after it"


def test_three_processes_at_once_do_not_disturb_each_other(path):
    run_script("""
        def work(k):
            for _ in range(100):
                checkpoint.save(path, {"a": np.full(3000, k)}, {"k": k})
                arrays, meta = checkpoint.load(path)
                assert (arrays["a"] == meta["k"]).all()
        children = []
        for k in range(3):
            child = os.fork()
            if not child:
                status = 1
                try:
                    work(k)
                    status = 0
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
        assert os.listdir(os.path.dirname(path)) == ["model"]
    """, path)  # fmt: skip


def test_what_others_have_put_beside_it_stays(path):
    start = checkpoint._start_of_temporary(str(path))
    other = path.with_name(".chainrule-0123456789abcdef-0.tmp")  # of another checkpoint
    other.write_text("x")
    fifo, link, orphan = (path.with_name(start + name + ".tmp") for name in ("fifo", "link", "orphan"))
    os.mkfifo(fifo)  # to open it must not wait
    link.symlink_to(other)
    orphan.write_text("x")
    began = time.monotonic()
    checkpoint.save(path, {})
    assert time.monotonic() - began < 5
    assert other.exists()
    assert link.is_symlink()
    assert not orphan.exists()


def test_the_package_offers_it():
    assert train.checkpoint is checkpoint
    assert train.CheckpointError is CheckpointError
