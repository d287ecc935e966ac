"""Bad input: a named error with what was received, what was expected, and often the next step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value

with warnings.catch_warnings(action="ignore"):
    MATRIX = np.matrix([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
NAMES: dict[str, Any] = {
    "MATRIX": MATRIX,
    "np": np,
    "cr": cr,
    "Value": Value,
    "v": Value(np.array([1.0, 2.0, 3.0])),
    "x": Value(np.arange(6.0).reshape(2, 3)),
    "s": Value(2.0),
    "A": Value(np.ones((3, 4))),
    "c": np.ones((2, 3)),
    "n": np.array([1, 2, 3]),
}

# The expression, and what its error begins with; two parts joined by " ... " are both in it.
SHAPES = {
    "v + np.ones(2)":
        "add: operands of shapes (3,) and (2,) do not broadcast together ... equal or one of them 1",
    "v * Value(np.ones(2))": "multiply: operands of shapes (3,) and (2,) do not broadcast together",
    "c[0, :2] / v": "divide: operands of shapes (2,) and (3,) do not broadcast together",
    "np.maximum(x, np.ones(2))": "maximum: operands of shapes (2, 3) and (2,) do not broadcast together",
    "np.where(np.ones(2, bool), v, x)": "where: operands of shapes (2,) and (3,) and (2, 3) do not broadcast",
    "np.clip(v, np.ones(2), 3)": "clip: operands of shapes (3,) and (2,) and () do not broadcast together",
    "x @ x": "matmul: a is (2, 3), b is (2, 3); a's last axis must equal b's second-to-last (3 != 2)",
    "x @ v[:2]": "matmul: a is (2, 3), b is (2,); a's last axis must equal b's only axis (3 != 2)",
    "v @ s": "matmul: a is (3,), b is (); a scalar has no axis to multiply along: use *",
    "np.dot(x, x)": "dot: a is (2, 3), b is (2, 3); a's last axis must equal b's second-to-last (3 != 2)",
    "np.dot(x[None], x)": "dot: a is (1, 2, 3), b is (2, 3); what is summed must be equally long (3 != 2)",
    "np.inner(x, A)": "inner: a is (2, 3), b is (3, 4); what is summed must be equally long (3 != 4)",
    "np.tensordot(x, A, 2)":
        "tensordot: a is (2, 3), b is (3, 4); axes (0, 1) of a have lengths [2, 3] ... [3, 4]",
    "np.vdot(x, v)": "vdot: a is (6,), b is (3,); what is summed must be equally long (6 != 3)",
    "np.vecdot(x, x[:, :1])":
        "vecdot: a is (2, 3), b is (2, 1); what is summed must be equally long (3 != 1)",
    "np.einsum('ij,jk', x, x)": "einsum: ... label 'j' ... received shapes (2, 3) and (2, 3)",
    "np.einsum('ij,jk->ik', x)": "einsum: subscripts 'ij,jk->ik' name 2 operands, received 1",
    "np.einsum('ijk', x)": "einsum: subscripts 'ijk' do not fit operand 0 of shape (2, 3)",
    "np.einsum('ij->ijk', x)": "einsum: the output 'ijk' of ... names 'k', which no operand has",
    "np.einsum('ij->ii', x)": "einsum: the output 'ii' of subscripts 'ij->ii' names an index twice",
    "np.interp(0.5, [0.0, 1.0, 2.0], v, period=0)": "interp: period is 0, expected another number",
    "np.put_along_axis(x, np.array([0]), 1.0, 0)":
        "put_along_axis: indices have shape (1,), expected as many axes as arr of shape (2, 3)",
    "np.linalg.norm(x[None], 1)": "norm: x has 3 axes; with ord=1 name one axis (vectors) or two (matrices)",
    "np.linalg.solve(A, v)":
        "solve: a is (3, 4), expected square matrices in the last two axes; use np.linalg.lstsq",
    "np.linalg.solve(x @ x.T, v)":
        "solve: a is (2, 2), b is (3,); b's only axis must be as long as a's second",
    "np.linalg.solve(x @ x.T, A)": "solve: a is (2, 2), b is (3, 4); b's second-to-last axis must be as long",
    "np.linalg.inv(x)": "inv: a is (2, 3), expected square matrices in the last two axes; use np.linalg.pinv",
    **{
        f"np.linalg.{name}(x)": f"{name}: a is (2, 3), expected square matrices in the last two axes"
        for name in "det slogdet cholesky eigh eigvalsh".split()
    },
    "np.linalg.eig(v)": "eig: a is (3,), expected square matrices in the last two axes",
    "np.linalg.qr(v)": "qr: a is (3,), expected matrices in the last two axes",
    "np.linalg.svdvals(v)": "svd: a is (3,), expected matrices in the last two axes",
    "np.linalg.lstsq(x[None], v)": "lstsq: a is (1, 2, 3), expected one matrix",
    "np.linalg.cond(x, 1)":
        "cond: a is (2, 3), expected square matrices in the last two axes; p=2 takes others",
    "np.linalg.multi_dot([x])": "multi_dot: received 1 arrays, expected two or more",
    "np.linalg.multi_dot([x, v, A])": "multi_dot: array 1 is (3,), expected a matrix",
    "np.linalg.multi_dot([x, x])": "multi_dot: a is (2, 3), b is (2, 3); a's last axis must equal",
    "np.linalg.cross(x, A)": "cross: x2 is (3, 4), expected 3 components along axis -1",
    "np.linalg.outer(x, v)": "outer: x1 is (2, 3), x2 is (3,), expected vectors; np.outer flattens",
    "np.linalg.tensorinv(x)": "tensorinv: a is (2, 3); its first 2 axes must have as many elements",
    "np.linalg.tensorsolve(x, v)": "tensorsolve: a is (2, 3), b is (3,); a must be square",
    "np.linalg.inv(x[:, :2] * 0)": "inv: Singular matrix; received shape (2, 2)",
    "np.linalg.cholesky(-x @ x.T)": "cholesky: Matrix is not positive definite; received shape (2, 2)",
    "np.fft.fftn(x, (2,), (0, 1))": "fftn: s is (2,), axes are (0, 1); expected a length for each axis",
    "np.fft.fftn(s)": "fftn: x has shape (), axes are (); expected one axis or more",
    "np.convolve(x, v)":
        "convolve: a is (2, 3), v is (3,); expected vectors; chainrule.scipy.signal.convolve takes more",
    "np.correlate(v, x)": "correlate: a is (3,), v is (2, 3); expected vectors; chainrule.scipy.signal.corr",
    "np.vander(x)": "vander: x has shape (2, 3), expected one axis",
    "np.where(v > 1, v)": "where: received x without y, expected both or neither",
    "np.trace(v)": "trace: axis 1 is out of range for shape (3,)",
    "np.convolve(v, v[:0])": "convolve: a is (3,), v is (0,); expected vectors that are not empty",
    "np.reshape(x, (4,))":
        "reshape: an array of shape (2, 3) (6 elements) does not fit shape (4,); the sizes must",
    "np.reshape(x, (-1, -1))": "reshape: an array of shape (2, 3) (6 elements) does not fit shape (-1, -1)",
    "x.reshape(-1, 4)": "reshape: an array of shape (2, 3) (6 elements) does not fit shape (-1, 4)",
    "np.squeeze(x, 0)": "squeeze: axis 0 of shape (2, 3) has length 2, expected 1",
    "np.broadcast_to(x, (2, 4))":
        "broadcast_to: shape (2, 3) does not broadcast to (2, 4); counted from the last",
    "np.broadcast_to(x, (3,))": "broadcast_to: shape (2, 3) does not broadcast to (3,)",
    "np.broadcast_arrays(x, A)": "broadcast_arrays: shapes (2, 3) and (3, 4) do not broadcast together",
    "np.concatenate([x, A])":
        "concatenate: operand 1 has shape (3, 4), the first (2, 3); all axes but axis 0 must",
    "np.concatenate([x, v])": "concatenate: operand 1 has shape (3,), the first (2, 3)",
    "np.concatenate([s, s])":
        "concatenate: operand 0 is a scalar, expected arrays; join scalars with np.stack",
    "np.stack([x, v])": "stack: operand 1 has shape (3,), expected that of the first, (2, 3)",
    "np.split(x, 2, axis=1)":
        "split: axis 1 of shape (2, 3) does not divide into 2 equal parts; use np.array_split",
    "np.take_along_axis(x, np.array([0]), 1)":
        "take_along_axis: indices have shape (1,), expected as many axes",
    "np.diag(x[None])": "diag: v has shape (1, 2, 3), expected one axis or two",
    "np.triu(s)": "triu: the Value has shape (), expected 1 or more axes",
    "v.mT": "matrix_transpose: the Value has shape (3,), expected 2 or more axes",
    "np.max(x[:0])": "max: an axis of shape (0, 3) is empty; pass initial=",
    "np.max(x, where=c > 0)": "max: where= needs initial=, what an empty selection amounts to",
    "np.sum(x, where=np.ones(2, bool))":
        "sum: where has shape (2,), which does not broadcast to that of a, (2, 3)",
    "np.median(x[:0], axis=0)": "median: a has shape (0, 3), there is nothing along axis 0 to choose from",
    "np.gradient(v, edge_order=3)": "gradient: edge_order is 3, expected 1 or 2",
    "np.gradient(v[:1])": "gradient: axis 0 of shape (1,) has length 1, expected 2 or more",
    "np.gradient(x, v, 1.0)": "gradient: spacing has shape (3,), expected a number or (2,)",
    "np.gradient(x, 1.0, 1.0, 1.0)": "gradient: received 3 spacings, expected none, one or 2",
    "np.interp(v, v, v[:2])": "interp: xp has shape (3,), fp (2,); expected one axis of the same length",
    "np.cross(A, A)": "cross: a is (3, 4), b is (3, 4); expected three components along axis",
    "np.cov(x[None])": "cov: received shape (1, 2, 3), expected one axis or two",
    "np.matvec(v, v)": "matvec: x1 is (3,), x2 is (3,); expected matrices and vectors",
    "np.vecmat(v, A[:2])": "vecmat: a is (1, 3), b is (2, 4); a's last axis",
    "np.block([[x], x])": "block: lists are nested 2 deep here and 1 there; expected alike",
    "np.lib.stride_tricks.sliding_window_view(v, 4)":
        "sliding_window_view: a window of 4 does not fit axis 0 of shape (3,)",
    "x.backward()":
        "backward: this Value has shape (2, 3), expected a scalar; reduce it first (np.sum, np.mean)",
    "x.sum().backward(np.ones(2))": "backward: gradient has shape (2,), expected this Value's shape ()",
    "np.pad(x, (1, 2, 3))":
        "pad: pad_width is (1, 2, 3), expected one number, (before, after), or such a pair",
    "np.repeat(x, [1, 2])": "repeat: repeats is [1, 2], expected a number of times, or one for each of 6",
}  # fmt: skip
AXES = {
    **{
        f"np.{name}(x, axis=2)": f"{name}: axis 2 is out of range for shape (2, 3); expected -2 to 1"
        for name in "sum prod mean max min var std ptp cumsum cumprod diff flip sort squeeze".split()
    },
    "np.sum(x, axis=(0, -3))": "sum: axis -3 is out of range for shape (2, 3); expected -2 to 1",
    "np.mean(s, axis=0)": "mean: axis 0 is out of range for shape (); a scalar has no axes",
    "np.sum(x, axis=(0, -2))": "sum: axes (0, -2) name an axis twice; expected each at most once",
    "np.sum(x, axis=1.5)": "sum: axis is 1.5, expected an integer",
    "np.mean(x, axis='rows')": "mean: axis is 'rows', expected an integer",
    "x.sum(5)": "sum: axis 5 is out of range for shape (2, 3); expected -2 to 1",
    "np.linalg.norm(x, axis=5)": "norm: axis 5 is out of range for shape (2, 3); expected -2 to 1",
    "cr.softmax(x, axis=4)": "softmax: axis 4 is out of range for shape (2, 3)",
    "cr.logsumexp(x, axis=(0, 5))": "logsumexp: axis 5 is out of range for shape (2, 3)",
    "np.tensordot(x, A, ((0,), (5,)))":
        "tensordot: axis 5 is out of range for shape (3, 4); expected -2 to 1",
    "np.transpose(x, (0,))": "transpose: axes (0,) do not name each of the 2 axes of shape (2, 3)",
    "np.transpose(x, (0, 0))": "transpose: axes (0, 0) name an axis twice",
    "np.swapaxes(x, 0, 2)": "swapaxes: axis 2 is out of range for shape (2, 3)",
    "np.moveaxis(x, 0, 2)": "moveaxis: axis 2 is out of range for shape (2, 3)",
    "np.moveaxis(x, [0, 1], 0)": "moveaxis: source [0, 1] and destination 0 must name equally many axes",
    "np.rollaxis(x, 2)": "rollaxis: axis 2 is out of range for shape (2, 3)",
    "np.expand_dims(x, 5)": "expand_dims: axis 5 is out of range for shape (2, 3); expected -3 to 2",
    "np.expand_dims(x, (0, 0))": "expand_dims: axes (0, 0) name an axis twice",
    "np.concatenate([x, x], axis=2)": "concatenate: axis 2 is out of range for shape (2, 3)",
    "np.stack([x, x], axis=4)": "stack: axis 4 is out of range for shape (2, 3); expected -3 to 2",
    "np.split(x, 1, axis=4)": "split: axis 4 is out of range for shape (2, 3)",
    "np.unstack(s)": "unstack: axis 0 is out of range for shape (); a scalar has no axes",
    "np.repeat(x, 2, 3)": "repeat: axis 3 is out of range for shape (2, 3)",
    "np.rot90(v)": "rot90: axis 1 is out of range for shape (3,)",
    "np.roll(x, 1, 2)": "roll: axis 2 is out of range for shape (2, 3)",
    "np.take(x, 0, 3)": "take: axis 3 is out of range for shape (2, 3)",
    "np.fft.fft(x, axis=2)": "fft: axis 2 is out of range for shape (2, 3); expected -2 to 1",
    "np.fft.fftshift(x, axes=2)": "fftshift: axis 2 is out of range for shape (2, 3)",
    "np.diagonal(v)": "diagonal: axis 1 is out of range for shape (3,)",
}  # fmt: skip
OPTIONS = {
    "np.sum(x, out=np.zeros(3))": "sum: out= is a plain array, which cannot hold a Value's derivative",
    "np.cumsum(x, out=c)": "cumsum: out= is a plain array, which cannot hold a Value's derivative",
    "np.concatenate([x, x], out=c)":
        "concatenate: out= is a plain array, which cannot hold",
    "np.outer(x, A, np.zeros(3))": "outer: out= is a plain array, which cannot hold a Value's derivative",
    "np.sin(x, out=c)":
        "sin: out= is a plain array, which cannot hold a Value's derivative; assign the result",
    "np.add(c, x, out=c)": "add: out= is a plain array ... (write a = a + v for a += v)",
    "np.add(c, v, out=v)": "add: the result has shape (2, 3), expected that of the array",
    "np.divmod(x, 2.0, out=(x * 1, x * 1), where=c > 0)":
        "divmod: where= of several results is not supported",
    "np.sin(x, where=c > 0)":
        "sin: where= without out= leaves elements unset; give out= a Value that holds what is to stand there",
    "np.sin(x, out=c, where=c > 0)": "sin: out= is a plain array",
    "np.sin(x * 1j, out=x * 1, where=c > 0)": "sin: complex numbers into a real Value would lose",
    "np.sin(x, out=s)": "sin: out= is a Value that is a scalar",
    "np.sum(x, out=x * 1)":
        "sum: the result has shape (), expected that of the array that is to hold it, (2, 3)",
    "np.any(x, out=x * 1)": "any: out= is a Value, but the result has no derivative",
    "np.sin(x, dtype=int)": "sin: No loop matching the specified signature and casting was found",
    "np.add(x, v, dtype=np.float32, casting='safe')": "add: Cannot cast ufunc 'add' input 0",
    "np.clip(x, 0, 1, where=c > 0)": "clip: where= is not supported for Values; use np.where",
    "np.maximum.accumulate(s)": "maximum.accumulate: axis 0 is out of range for shape ()",
    "np.subtract.reduce(x, axis=None)": "subtract.reduce: axes (0, 1) in some order or other, which matters",
    "np.divide.reduce(x[:0])": "divide.reduce: of nothing, or with where=, it needs initial=",
    "np.add.reduceat(x, [2])": "add.reduceat: indices are [2], expected a list of integers from 0 to 1",
    "np.quantile(x, s + 2)": "Quantiles must be in the range [0, 1]",
    "np.quantile(x, 0.5, weights=np.ones(2), method='inverted_cdf')":
        "quantile: weights have shape (2,), expected that of a, (2, 3), or the lengths of the axes",
    "np.quantile(x, 0.5, weights=np.ones((2, 3)))": "Only method 'inverted_cdf' supports weights",
    "np.place(x * 1, c > 0, v[:0])": "place: values are empty, expected one at least",
    "np.putmask(x * 1, n > 0, v)": "putmask: mask has shape (3,), expected that of the array, (2, 3)",
    "np.place(c, c > 0, v)": "place: the array to write into is plain",
    "np.roots(x)": "roots: p has shape (2, 3), expected one axis of coefficients",
    "np.polyfit(x, v, 1)": "polyfit: x is (2, 3), deg 1; expected a vector, a degree of 0 or more",
    "np.polyfit(v, A[:2, 0], 1)": "polyfit: y is (2,), x is (3,); expected as many points",
    "np.polyfit(v, v, 2, cov=True)": "polyfit: 3 points for 3 coefficients, cov=True needs more points",
    "np.polynomial.polynomial.polyval2d(x, v, A)":
        "polyval2d: x is (2, 3), y is (3,); expected the same shape",
    "np.median(x, out=c)": "median: out= is a plain array, which cannot hold a Value's derivative",
    "np.select([n], [v])": "select: a condition is of dtype int64, expected bool",
    "np.select([n > 1], [v, v])": "select: received 1 conditions and 2 choices, expected as many",
    "np.choose(n, [v, v])": "choose: a is from 1 to 3, expected 0 to 1",
    "np.choose(v, [v, v])": "choose: a is of dtype float64, expected integers",
    "np.piecewise(v, [n > 1], [np.sin, np.cos, np.tan])":
        "piecewise: received 1 conditions and 3 functions, expected as many, or one function more",
    "np.poly(x)": "poly: received shape (2, 3), expected one axis of roots, or a square matrix",
    "np.polyval(np.poly1d([1.0, 2.0]), v)": "polyval: a poly1d cannot hold a Value",
    "np.sum(x, wild=1)": "sum() got an unexpected keyword argument 'wild'",
    "np.reshape(x, (6,), order='A')": "reshape: order='A' is not supported for Values, expected 'C' or 'F'",
    "x.reshape(3, 2, order='K')": "reshape: order='K' is not supported for Values, expected 'C' or 'F'",
    "x.reshape('a')": "reshape: received 'a', expected integers",
    "np.reshape(x, 1.5)": "reshape: received 1.5, expected integers",
    "np.tile(x, 1.5)": "tile: received 1.5, expected integers",
    "np.tile(x, -1)": "tile: reps are (-1,), expected 0 or more",
    "np.repeat(x, -1)": "repeat: repeats is -1, expected a number of times",
    "np.repeat(x, 1.5)": "repeat: repeats is 1.5, expected a number of times",
    "np.split(x, 0)": "split: indices_or_sections is 0, expected 1 or more parts",
    "np.array_split(x, 0)": "array_split: indices_or_sections is 0, expected 1 or more parts",
    "np.pad(x, 1, mode='wild')": "pad: mode is 'wild', expected a function or one of constant, empty, edge",
    "np.pad(x, 1, wild=2)": "pad: unknown option 'wild' for mode 'constant'",
    "np.sort(x, kind='wild')": "sort kind must be one of",
    "np.take(x, 0, mode='wild')": "take: mode is 'wild', expected 'raise', 'wrap' or 'clip'",
    "np.diff(x, -1)": "diff: n is -1, expected 0 or more",
    "np.meshgrid(v, v, indexing='wild')": "meshgrid: indexing is 'wild', expected 'xy' or 'ij'",
    "np.einsum('ij', x, dtype=int)": "astype: a Value cannot become int64",
    "np.average(x, weights=v)":
        "average: weights have shape (3,), expected that of a, (2, 3), or the lengths of the axes",
    "np.linalg.norm(x, 3)": "norm: ord=3 of matrices; expected None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf",
    "np.linalg.norm(x[None], axis=(0, 1, 2), ord=2)":
        "norm: axis is (0, 1, 2), expected one axis (vectors) or two",
    "np.linalg.svd(x, hermitian=True)": "svd: a is (2, 3), expected square matrices in the last two axes",
    "np.linalg.qr(x, 'raw')": "qr: mode is 'raw', expected 'reduced', 'complete' or 'r' for Values",
    "np.linalg.eigh(x @ x.T, 'X')": "eigh: UPLO is 'X', expected 'L' or 'U'",
    "np.linalg.matrix_power(x @ x.T, 0.5)":
        "matrix_power: n is 0.5, expected an integer; chainrule.scipy.linalg",
    "np.fft.fft(x, norm='wild')": "fft: norm is 'wild', expected 'backward', 'ortho' or 'forward'",
    "np.fft.fft(x, 0)": "fft: a transform of 0 numbers; expected 1 or more",
    "np.fft.fft(x, out=c)": "fft: out= is a plain array, which cannot hold a Value's derivative",
    "np.fft.rfft(x * 1j)": "rfft: a is complex, expected real numbers; use np.fft.fft",
    "np.convolve(v, v, 'wild')": "convolve: mode is 'wild', expected 'full', 'same' or 'valid'",
    "np.linalg.norm(v, 'fro')": "norm: ord='fro' is for matrices, x has shape (3,) along axis (0,)",
    "np.astype(x, int)":
        "astype: a Value cannot become int64, which has no derivative; take v.data.astype(...)",
    "x.astype(bool)": "astype: a Value cannot become bool, which has no derivative",
    "np.prod(x, dtype=int)": "astype: a Value cannot become int64",
    "cr.relu('a')": "relu: received 'a', expected a Value, a number or an array of numbers",
    "cr.softmax(None)": "softmax: received None, expected a Value, a number or an array of numbers",
}  # fmt: skip
INDICES = {
    "x[5]": "getitem: index 5 is out of bounds for axis 0 with size 2; the Value has shape (2, 3)",
    "x[0, 7]": "getitem: index 7 is out of bounds for axis 1 with size 3",
    "x[[0, 9]]": "getitem: index 9 is out of bounds for axis 0 with size 2",
    "x[1.5]": "getitem: only integers, slices",
    "x['a']": "getitem: only integers, slices",
    "x[np.array([0.5])]": "getitem: arrays used as indices must be of integer (or boolean) type",
    "x[np.ones(5, bool)]": "getitem: boolean index did not match ... the Value has shape (2, 3)",
    "x[0, 0, 0]": "getitem: too many indices for array ... the Value has shape (2, 3)",
    "x[..., ...]": "getitem: an index can only have a single ellipsis",
    "s[0]": "getitem: ... the Value has shape ()",
    "x[v]":
        "getitem: the index is a Value; indices are integers, which have no derivative: use i.data",
    "x[0, s]": "getitem: the index is a Value",
    "x[[v[0]]]": "np.asarray: a Value cannot become a plain array",
    "np.take(x, 7)": "take: index 7 is out of bounds for axis 0 with size 6",
    "np.take(x, s)": "take: the index is a Value",
    "np.take_along_axis(x, np.full((2, 1), 9), 1)":
        "take_along_axis: index 9 is out of bounds for axis 1 with size 3",
    "x.__setitem__(7, 1.0)": "setitem: index 7 is out of bounds ... the Value has shape (2, 3)",
    "s.__setitem__(0, 1.0)": "setitem: this Value is a scalar, which has no elements",
    "len(s)": "len: this Value is a scalar, it has no length",
    "list(s)": "iteration over a Value that is a scalar",
}  # fmt: skip
LEAVES = {
    "Value([1, 2])":
        "Value: data is of dtype int64, expected floats; a derivative needs real numbers: write",
    "Value(np.array([True]))": "Value: data is of dtype bool, expected floats",
    "Value('a')": "Value: data is of dtype <U1, expected floats",
    "Value(None)": "Value: data is None, expected a number or an array of floats",
    "Value(np.ma.masked_array([1.0, 2.0], [True, False]))":
        "Value: data is a masked array, whose mask a Value cannot keep; pass x.data, and choose with",
    "cr.grad(np.sum)(np.ma.masked_array([1.0, 2.0], [True, False]))": "Value: data is a masked array",
    "Value(MATRIX)": "Value: data is an np.matrix, which means another product by *; pass np.asarray(m)",
    **dict.fromkeys(
        ("MATRIX * x", "x * MATRIX", "MATRIX @ v", "x + MATRIX", "np.sum(MATRIX.T @ v[:2])"),
        "an np.matrix among the operands means another product by *; use np.asarray(m)",
    ),
    "Value({})": "Value: data is a dict, expected a number or an array of floats",
    "Value(v)": "Value: the data is a Value already; use it, or Value(v.data) for a new leaf",
    "Value([v, v])": "np.asarray: a Value cannot become a plain array ... np.stack([v, w]) to join Values",
    "setattr(x, 'data', np.ones(3))": "Value.data: new data has shape (3,), expected (2, 3)",
    "setattr(x + 1, 'data', np.ones((2, 3)))":
        "Value.data: this Value is the result of add; only a leaf's data",
    "setattr(x, 'grad', np.ones(2))": "Value.grad: new gradient has shape (2,), expected the data's (2, 3)",
}  # fmt: skip


@pytest.mark.parametrize(
    "expression, said", [row for rows in (SHAPES, AXES, OPTIONS, INDICES, LEAVES) for row in rows.items()]
)
def test_the_error_names_what_was_wrong(expression: str, said: str) -> None:
    with pytest.raises((TypeError, ValueError, IndexError)) as error:
        eval(expression, NAMES)
    first, *others = said.split(" ... ")
    assert str(error.value).startswith(first)
    assert all(other in str(error.value) for other in others)


def test_kinds_of_error() -> None:
    """The kinds that NumPy's users catch."""
    x = NAMES["x"]
    for f in (lambda: np.sum(x, axis=2), lambda: x.transpose(0, 2), lambda: np.stack([x, x], axis=9)):
        with pytest.raises(np.exceptions.AxisError):
            f()
    for f in (np.linalg.inv, np.linalg.cholesky, np.linalg.det):
        with pytest.raises(np.linalg.LinAlgError):
            f(x)
    for f in (np.linalg.inv, np.linalg.cholesky):
        with pytest.raises(np.linalg.LinAlgError):
            f(Value(np.zeros((2, 2))))
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(ValueError):
        x + np.ones(2)
    with pytest.raises(TypeError):
        np.sum(x, out=np.zeros(()))


def test_nothing_changes_when_an_operation_fails() -> None:
    v = Value(np.array([1.0, 2.0]))
    v.grad = np.array([3.0, 4.0])
    for f in (lambda: v + np.ones(3), lambda: v[7], lambda: np.sin(v, out=np.ones(2)), lambda: v.backward()):
        with pytest.raises((TypeError, ValueError, IndexError)):
            f()
    assert v.data.tolist() == [1, 2] and v.grad.tolist() == [3, 4]
