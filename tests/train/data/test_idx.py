"""IDX files: every dtype and shape comes back; every cut and every false header is named."""

import gzip
import tracemalloc

import numpy as np
import pytest

from chainrule.train import data

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx(array):
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def header(code, *shape):
    return bytes([0, 0, code, len(shape)]) + np.array(shape, ">u4").tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(), (5,), (3, 4, 5), (0, 28, 28)])
def test_there_and_back(pack, dtype, shape, tmp_path):
    array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    path = tmp_path / "file"  # what it ends with does not matter
    path.write_bytes(pack(idx(array)))
    found = data.load_idx(str(path))
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert found.flags.writeable
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_length_but_the_whole_is_a_named_error(pack, tmp_path):
    raw, path = pack(idx(np.arange(100, dtype=np.int16).reshape(10, 10))), tmp_path / "file"
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(data.DataError, match=f"load_idx: {path}: .*get the file again"):
            data.load_idx(path)
    path.write_bytes(raw + b"x")
    with pytest.raises(data.DataError, match="file"):
        data.load_idx(path)


def test_no_flipped_byte_of_a_gzip_file_changes_a_number(tmp_path):
    """All but the first ten bytes, gzip's own header, which says nothing of the contents."""
    array, path = np.arange(200, dtype=np.int32), tmp_path / "file"
    raw = gzip.compress(idx(array), mtime=0)
    for at in range(10, len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :])
        try:
            found = data.load_idx(path)
        except data.DataError:
            continue
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(("raw", "match"), [
    (b"", r"begins with the bytes \(none\); expected 00 00"),
    (b"\x89PNG\r\n", "begins with the bytes 89 50 4e 47; expected 00 00"),
    (b"\0\0\x0a\x01", "begins with the bytes 00 00 0a 01"),
    (header(0x08, 3)[:-1], "ends in its header"),
    (header(0x08, 3) + b"ab", r"says shape \(3,\) and dtype uint8, more than the file can hold"),
    (header(0x08, 3) + b"abcd", "goes on after the 3 bytes"),
    (header(0x08, *[2**32 - 1] * 4), "more than the file can hold"),
    (header(0x0E, *[2**31] * 3), "more than the file can hold"),
    (header(0x08, *[1] * 255) + b"a", "more than the file can hold"),
    (header(0x08, 0, *[2**32 - 1] * 9), "too big"),
    (gzip.compress(header(0x08, 3) + b"ab", mtime=0), r"holds 2 bytes after its header, .* shape \(3,\)"),
    (gzip.compress(header(0x08, 3) + b"abcd", mtime=0), "goes on after"),
    (gzip.compress(header(0x08, 2**32 - 1, 2**20), mtime=0), "more than the file can hold"),
])  # fmt: skip
def test_headers_that_do_not_fit_are_refused_before_anything_is_allocated(raw, match, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(data.DataError, match=match):
            data.load_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_a_missing_file_is_pythons_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        data.load_idx(tmp_path / "nothing")


def test_the_most_that_deflate_can_pack_is_let_through(tmp_path):
    array = np.zeros(10_000_000, np.uint8)
    raw = gzip.compress(idx(array), mtime=0)
    assert array.size / len(raw) > 1000
    path = tmp_path / "file"
    path.write_bytes(raw)
    assert data.load_idx(path).shape == array.shape
