"""Orders of multiplication, beside every order tried by recursion."""

import numpy as np
import pytest

from chainrule.sweeps.chain import orders


def every_order(sizes, letters):
    """(cost, text) of each, by the definition."""
    if len(letters) == 1:
        return [(0, letters[0])]
    found = []
    for k in range(1, len(letters)):
        for a, s in every_order(sizes[: k + 1], letters[:k]):
            for b, t in every_order(sizes[k:], letters[k:]):
                s_ = s if k == 1 else f"({s})"
                t_ = t if k == len(letters) - 1 else f"({t})"
                found.append((a + b + sizes[0] * sizes[k] * sizes[-1], f"{s_}·{t_}"))
    return found


@pytest.mark.parametrize("n", range(2, 8))
def test_every_order(n):
    rng = np.random.default_rng(n)
    letters = "ABCDEFG"[:n]
    for _ in range(10):
        sizes = [int(s) for s in rng.integers(1, 30, n + 1)]
        every = every_order(sizes, letters)
        found = orders(sizes, letters)
        assert {(o.multiplications, o.factors) for o in found} <= set(every)
        assert found[0].multiplications == min(every)[0]
        if n > 2:
            assert found[-1].multiplications == max(every)[0]
            assert {"reverse", "forward"} <= {o.name for o in found}
        if n <= 4:
            assert len(found) == len(every)


def test_the_gradient_of_a_number_is_cheapest_in_reverse_and_along_one_input_forward():
    assert orders([1, 50, 40, 30], "ABC")[0].name == "reverse"
    assert orders([30, 40, 50, 1], "ABC")[0].name == "forward"
