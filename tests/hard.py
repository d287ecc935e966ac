"""The list of hard points: what engines for differentiation get wrong, one number for each statement.

A test says with ``@row(12)`` which of them it shows; in the tables of `test_hard_points` each line does.
`test_hard_rows` looks for all of them. What stands in tests/native is compiled, ``compiled=True`` is both.
"""

from __future__ import annotations

import pytest

row = pytest.mark.hard_point

ROWS = {
    1: "a branch that is not taken sends nothing",
    2: "sin x / x behind where, at 0",
    3: "sinc at 0, twice",
    4: "sqrt at 0",
    5: "sqrt(x²) and sqrt(x)² at 0",
    6: "norms at 0",
    7: "norm and hypot of numbers whose square overflows",
    8: "powers of 0, and of negative numbers",
    9: "abs, relu, leaky_relu at 0",
    10: "ties of maximum, max and clip",
    11: "maximum with nan",
    12: "sort with ties, places written twice",
    13: "prod and det with zeros",
    14: "std of constants",
    15: "logsumexp of nothing but -inf, masked rows",
    16: "log_softmax and cross-entropy of large numbers",
    17: "0 log 0",
    18: "arctan2 at 0 and near it",
    19: "division by the very small and the very large",
    20: "tanh, softplus, arcsin, log at their edges",
    21: "binary cross-entropy of the impossible",
    22: "float32 leaves keep float32 gradients",
    23: "integers cannot be differentiated in",
    24: "no axes, no elements, repeated and wrong indices",
    25: "einsum, matmul of all shapes, negative axes",
    26: "complex gradients, holomorphic functions",
    27: "a Value is not cut out of the graph by float()",
    28: "unused arguments, constant outputs",
    29: "backward, called again",
    30: "data changed between forward and backward",
    31: "writing into a view",
    32: "a million nodes, 400 bytes each",
    33: "freed without the cyclic collector",
    34: "an exception in the middle of backward",
    35: "copy, deepcopy, pickle",
    36: "eight threads",
    37: "perturbations are not confused",
    38: "a Value used after its trace",
    39: "what lies around a compiled function changes",
    40: "if x > 0 under compile",
    41: "compiled arithmetic is as written",
    42: "who made the nan",
    43: "repeated eigenvalues and singular values",
}
COMPILED_ALONE = {39, 40, 41}  # statements about compile
EAGER_ALONE = {35}  # what a compiled function returns is plain numbers; Values are copied outside of it
