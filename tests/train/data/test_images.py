"""The MNIST family from its four files, wherever they are; scikit-learn's digits."""

import gzip
import os
import sys

import numpy as np
import pytest

from chainrule.train import data
from chainrule.train.data import images

STEMS = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def four(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 255, shape).astype(np.uint8) for shape in ((6, 28, 28), (6,), (2, 28, 28), (2,))
    ]
    for stem, array, packed in zip(STEMS, arrays, (True, False, False, True)):
        (tmp_path / f"{stem}{'.gz' * packed}").write_bytes(
            gzip.compress(idx(array)) if packed else idx(array)
        )
    return arrays


def test_four_files_packed_or_not_are_a_set(four, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    for folder in tmp_path, str(tmp_path), f"~/{tmp_path.name}":
        for read in data.mnist, data.fashion_mnist:
            for found, array in zip(read(folder), four):
                np.testing.assert_array_equal(found, array)
    X, y, X_test, y_test = data.mnist(tmp_path)
    assert (X.dtype, X_test.dtype, y.dtype, y_test.dtype) == (np.uint8, np.uint8, np.int64, np.int64)


def test_a_missing_file_says_what_to_do(four, tmp_path, monkeypatch):
    (tmp_path / STEMS[1]).unlink()
    match = f"there is neither {STEMS[1]} nor {STEMS[1]}.gz in {tmp_path}; "
    with pytest.raises(FileNotFoundError, match=f"^mnist: {match}name the folder"):
        data.mnist(tmp_path)
    monkeypatch.setattr(images, "_DEBIAN", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=match + r".*apt install dataset-fashion-mnist.*fashion_mnist\(folder\)"
    ):
        data.fashion_mnist()


def test_files_that_do_not_belong_together(four, tmp_path):
    (tmp_path / STEMS[1]).write_bytes(idx(np.zeros(5, np.uint8)))
    with pytest.raises(data.DataError, match=r"the train images are \(6, 28, 28\), their labels \(5,\)"):
        data.mnist(tmp_path)


# The data themselves come from Debian alone; what reads them is tested above, wherever it runs.
@pytest.mark.skipif(not os.path.isdir(images._DEBIAN), reason="needs Debian's package dataset-fashion-mnist")
def test_fashion_mnist_as_debian_has_it():
    X, y, X_test, y_test = data.fashion_mnist()
    assert X.shape == (60000, 28, 28)
    assert X_test.shape == (10000, 28, 28)
    assert (np.bincount(y) == 6000).all()
    assert (np.bincount(y_test) == 1000).all()
    assert len(data.FASHION_MNIST_CLASSES) == 10
    assert data.FASHION_MNIST_CLASSES[y[0]] == "ankle boot"


def test_digits(monkeypatch):
    X, y, X_test, y_test = data.digits()
    assert X.shape == (1347, 8, 8)
    assert X.dtype == np.float32
    assert (X.min(), X.max()) == (0, 1)
    assert set(y) == set(y_test) == set(range(10))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'chainrule\[sklearn\]'"):
        data.digits()
