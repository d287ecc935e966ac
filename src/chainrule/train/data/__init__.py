"""Data sets from files, as NumPy arrays: images in IDX, tables in CSV, text."""

from chainrule.train.data.damage import DataError
from chainrule.train.data.idx import load_idx
from chainrule.train.data.images import FASHION_MNIST_CLASSES, ImageSet, digits, fashion_mnist, mnist
from chainrule.train.data.table import Table, load_csv
from chainrule.train.data.text import Text, king_james, load_text, names, python_topics

__all__ = [
    "DataError",
    "FASHION_MNIST_CLASSES",
    "ImageSet",
    "Table",
    "Text",
    "digits",
    "fashion_mnist",
    "king_james",
    "load_csv",
    "load_idx",
    "load_text",
    "mnist",
    "names",
    "python_topics",
]
