"""The heaviest paths of a gradient, and their shares."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value


def test_shares_of_all_paths_add_up_to_one():
    x, w = Value(np.array([1.0, -2.0, 0.5]), name="x"), Value(np.array([0.3, 0.1, 2.0]), name="w")
    y = np.sum(np.tanh(x * w) + x**2 - 3 * x)
    found = cr.explain_grad(y, x, most=100)
    assert found.paths.not_listed == 0 and sum(found.shares) == pytest.approx(1, rel=1e-14)
    assert min(found.shares) < 0  # 3 x works against the others
    np.testing.assert_allclose(sum(p.product for p in found.paths), found.paths.gradient)


def test_few_are_told_of_many():
    x = y = Value(0.9, name="x")
    for _ in range(12):
        y = y * 1.5 + np.sin(y)
    found = cr.explain_grad(y, x, most=3)
    assert len(found.paths) == 3 and found.paths.n_paths == 2**12
    sizes = [abs(p.product) for p in found.paths]
    assert sizes == sorted(sizes, reverse=True) and found.heaviest is found.paths[0]
    assert found.rest == pytest.approx(1 - sum(p.product for p in found.paths) / found.paths.gradient)
    assert "4,093 more" in str(found) and "4,096 paths lead there" in str(found)


def test_no_path_and_a_gradient_that_cancels():
    x, z = Value(2.0, name="x"), Value(1.0, name="z")
    y = x - x
    assert str(cr.explain_grad(y, z)).startswith("no path from z to y") and not cr.explain_grad(y, z).shares
    found = cr.explain_grad(y, x)
    assert np.isnan(found.shares).all() and str(found).count(" -\n") == 2


@pytest.mark.parametrize(
    "args, options, message",
    [
        ((np.sum,), {}, r"explain_grad: output is a .*; call it on Values .*: explain_grad\(f\(x\), x\)$"),
        ((2.0, Value(1.0)), {}, r"explain_grad: output is a float, expected a Value"),
        ((Value(1.0), 2.0), {}, r"explain_grad: input is a float, expected a Value"),
        ((Value([1.0]), Value(1.0)), {}, r"explain_grad: output has shape \(1,\), expected a scalar"),
        ((Value(1.0), Value(1.0)), {"most": 0}, r"explain_grad: most is 0, expected an integer"),
    ],
)
def test_bad_input_is_named(args, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        cr.explain_grad(*args, **options)
