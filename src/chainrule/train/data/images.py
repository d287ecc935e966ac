"""Images with labels: the MNIST family from its four files, and scikit-learn's digits."""

from __future__ import annotations

import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.train.data.damage import DataError
from chainrule.train.data.idx import load_idx

__all__ = ["FASHION_MNIST_CLASSES", "ImageSet", "digits", "fashion_mnist", "mnist"]

FASHION_MNIST_CLASSES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_DEBIAN = "/usr/share/datasets/fashion-mnist"


class ImageSet(NamedTuple):
    """Images (N, height, width) and their labels (N,), int64, to learn from and to be judged by."""

    train_images: NDArray[Any]
    train_labels: NDArray[np.int64]
    test_images: NDArray[Any]
    test_labels: NDArray[np.int64]


def mnist(folder: str | os.PathLike[str]) -> ImageSet:
    """Read MNIST, or a set that comes in the same four files, from a folder.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
    ``t10k-labels-idx1-ubyte``, each with ``.gz`` or without.

    Returns
    -------
    ImageSet
        Images as they are in the files: (60000, 28, 28) and (10000, 28, 28), uint8, 0 is background.

    Raises
    ------
    FileNotFoundError
        If a file is not in the folder.
    DataError
        If a file is damaged, or there are more or fewer labels than images.

    Examples
    --------
    >>> from chainrule.train import data
    >>> X, y, X_test, y_test = data.mnist("~/mnist")  # doctest: +SKIP
    """
    return _four_files("mnist", folder, "name the folder that holds the set's four files")


def fashion_mnist(folder: str | os.PathLike[str] | None = None) -> ImageSet:
    """Read Fashion-MNIST: 60,000 and 10,000 images of clothes in ten classes.

    Without a folder it is read from where Debian's package dataset-fashion-mnist puts it.  The names of the
    classes are `FASHION_MNIST_CLASSES`.  Returns and raises what `mnist` does.

    Examples
    --------
    >>> from chainrule.train import data
    >>> X, y, X_test, y_test = data.fashion_mnist()  # doctest: +SKIP
    >>> X.shape, data.FASHION_MNIST_CLASSES[y[0]]  # doctest: +SKIP
    ((60000, 28, 28), 'ankle boot')
    """
    hint = (
        "on Debian and Ubuntu: apt install dataset-fashion-mnist; else get its four files and name their "
        "folder: fashion_mnist(folder)"
    )
    return _four_files("fashion_mnist", _DEBIAN if folder is None else folder, hint)


def digits() -> ImageSet:
    """Read the 1,797 handwritten digits that come with scikit-learn, in the form of `mnist`.

    Images are (N, 8, 8), float32, from 0 (background) to 1.  The first 1,347 are to learn from, the last 450
    to be judged by.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> from chainrule.train import data
    >>> X, y, X_test, y_test = data.digits()
    >>> X.shape, X_test.shape
    ((1347, 8, 8), (450, 8, 8))
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as missing:
        raise ImportError("digits: needs scikit-learn: pip install 'chainrule[sklearn]'") from missing
    found = load_digits()
    images, labels = (found.images / 16).astype(np.float32), found.target.astype(np.int64)
    return ImageSet(images[:1347], labels[:1347], images[1347:], labels[1347:])


def _four_files(name: str, folder: str | os.PathLike[str], hint: str) -> ImageSet:
    place = pathlib.Path(folder).expanduser()
    found = []
    for part in "train", "t10k":
        images, labels = (
            _one_file(name, place, f"{part}-{what}-ubyte", hint) for what in ("images-idx3", "labels-idx1")
        )
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(
                f"{name}: {place}: the {part} images are {images.shape}, their labels {labels.shape}; "
                "expected (N, height, width) and (N,): the files do not belong together"
            )
        found += [images, labels.astype(np.int64)]
    return ImageSet(*found)


def _one_file(name: str, place: pathlib.Path, stem: str, hint: str) -> NDArray[Any]:
    for path in place / stem, place / f"{stem}.gz":
        if path.exists():
            return load_idx(path)
    raise FileNotFoundError(f"{name}: there is neither {stem} nor {stem}.gz in {place}; {hint}")
