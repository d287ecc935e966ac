"""What other libraries call the attributes of a Value."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import Value


def test_micrograd_reads_operands_and_operation():
    a = Value(3.0)
    y = a**2.0 * 5.0
    y.backward()
    square, five = sorted(y._prev, key=lambda v: v.data, reverse=True)
    assert (y._op, square._op, a._op, a._prev) == ("*", "**2.0", "", set())
    assert (five.data, five.grad) == (5.0, 9.0)  # what its gradient would have been
    assert np.maximum(a, 0.0)._op == "maximum" and a.relu()._op == "ReLU"


@pytest.mark.parametrize("name", ["detach", "numpy", "requires_grad", "view", "sin", "at", "to", "mm"])
def test_names_known_from_elsewhere_are_answered(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; write "):
        getattr(Value(1.0), name)
    assert not hasattr(Value(1.0), "nothing_like_it")
