"""The cost report: its table as text and as data, its names, and what it refuses."""

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value

RNG = np.random.default_rng(0)
ARGUMENTS = [RNG.normal(size=s) for s in [(10, 5), (5, 1), (5, 1), (10, 10)]]


def net(W1, W2, W3, I):
    return np.sum(np.tanh(I @ W1) @ W2 + np.tanh(I @ W1) @ W3)


def test_the_notes_table():
    report = cr.cost_report(net, *ARGUMENTS)
    assert (report.jacobian_entries, report.gradient_entries, report.nonzero_entries) == (3710, 50, 630)
    lines = str(report).splitlines()
    assert lines[:10] == [
        "operation                   flops  bytes  Jacobian  shape  entries  non-zero",
        "----------------------------------------------------------------------------",
        "v2 = tanh(I @ W1) (×2)      2,100  1,600  ∂v2/∂W1   50×50  2,500    500",
        "v3 = v2 @ W2                100    80     ∂v3/∂v2   10×50  500      50",
        "v6 = v2 @ W3                100    80     ∂v6/∂v2   10×50  500      50",
        "v7 = v3 + v6                10     80     ∂v7/∂v3   10×10  100      10",
        "                                          ∂v7/∂v6   10×10  100      10",
        "net = sum(v7, axis=(0, 1))  10     8      ∂net/∂v7  1×10   10       10",
        "----------------------------------------------------------------------------",
        "total                       2,320  1,848                   3,710    630",
    ]
    assert "Jacobians: 3,710 numbers for 50 gradients, of which 630 are structurally non-zero" in lines
    assert "keeps for it are 231 numbers (1,848 bytes)" in str(report)


def test_rows_are_plain_data_and_add_up():
    report = cr.cost_report(net, *ARGUMENTS, argnums=(0, 3))
    rows = json.loads(json.dumps(report.rows))
    assert all(len(row) == len(report.columns) for row in rows)
    table = [dict(zip(report.columns, row)) for row in rows]
    assert sum(row["entries"] for row in table) == report.jacobian_entries == 8710
    assert sum(row["non-zero"] for row in table) == report.nonzero_entries == 1130
    assert sum(row["flops"] or 0 for row in table) == report.flops == 2320
    assert sum(row["bytes"] or 0 for row in table) == report.bytes == 1848
    assert all(row["rows"] * row["columns"] == row["entries"] for row in table)
    assert report.gradient_entries == 150


def test_what_was_recorded_already_with_the_callers_names():
    X, W, b = np.ones((4, 3)), Value(np.ones((3, 2))), Value(np.zeros(2))
    H = np.tanh(X @ W + b)
    loss = np.mean(H)
    report = cr.cost_report(loss, W)
    assert report.rows[0][:5] == ("H = tanh(X @ W + b)", 1, 48 + 8 + 8, 3 * 64, "∂H/∂W")
    assert report.gradient_entries == 6 and report.ratio > 1
    assert cr.cost_report(loss).gradient_entries == 8
    assert report.chain == (("∂loss/∂H", 1, 8), ("∂H/∂W", 8, 6))


def test_a_chain_of_matrices_and_what_each_order_costs():
    A, B = np.ones((3, 40)), np.ones((40, 7))

    def H(x):
        return np.sin(A @ np.exp(B @ x))

    report = cr.cost_report(H, np.ones((7, 1)))
    assert [shape for _, *shape in report.chain] == [[3, 40], [40, 7]]
    assert [o.multiplications for o in report.orders] == [3 * 40 * 7] and report.gradient_entries == 3 * 7
    text = str(cr.cost_report(lambda x: np.sum(H(x)), np.ones((7, 1))))
    assert "(J1·J2)·J3: 400 multiplications, reverse" in text  # 1×3 · 3×40 · 40×7
    assert "J1·(J2·J3): 861 multiplications, forward" in text
    assert cr.cost_report(lambda x: H(x) * x[0], np.ones((7, 1))).chain != ()
    assert cr.cost_report(net, *ARGUMENTS, argnums=(0, 1)).chain == ()


def test_a_large_graph_shows_its_ends_and_counts_all():
    x = y = Value(1.0)
    for _ in range(3000):
        y = y * y
    report = cr.cost_report(y, x, max_rows=4)
    assert report.flops == 3000 and report.jacobian_entries == 6000 and len(report.rows) == 8
    assert "… 2,996 more operations …" in str(report) and report.chain == ()


def test_containers_loops_and_plain_numbers():
    def loss(p):
        return np.sum(p["w"] * 2.0) + p["b"]

    report = cr.cost_report(loss, {"w": np.ones(3), "b": 1.0})
    assert report.gradient_entries == 4 and "∂v2/∂p['w']" in str(report)
    looped = cr.cost_report(lambda w: cr.scan(lambda c, a: (c * w, None), 1.0, np.ones(5))[0], 0.5)
    assert looped.jacobian_entries >= 1 and looped.ratio is not None
    w = Value(0.5)
    last, _ = cr.scan(lambda c, a: (c * w, c), 1.0, np.ones(5))
    assert cr.cost_report(last, w).ratio is None  # a loop is not run again from the outside
    assert cr.cost_report(w).rows == () and cr.cost_report(w).flops == 0


def test_functions_of_values_and_of_modules():
    model = cr.nn.Linear(3, 2, rng=0)
    report = cr.cost_report(lambda x: np.sum(model(x)), Value(np.ones((4, 3))))
    assert report.gradient_entries == 12 and report.flops >= 2 * 4 * 3 * 2
    assert all(p.grad is None or not np.any(p.grad) for p in model.parameters())


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: cr.cost_report(3.0), TypeError, "f is a float, expected a function"),
    (lambda: cr.cost_report(None), TypeError, "f is None"),
    (lambda: cr.cost_report(np.sum, np.arange(3)), TypeError, "argument 0 is an array of int64"),
    (lambda: cr.cost_report(np.sum), TypeError, "argnums names argument 0"),
    (lambda: cr.cost_report(lambda x: 3.0, 1.0), TypeError, "f returned a float, expected one"),
    (lambda: cr.cost_report(lambda x: (x, x), 1.0), TypeError, "f returned 2 results"),
    (lambda: cr.cost_report(Value(1.0), 2.0), TypeError, "input 0 is a float, expected a Value"),
    (lambda: cr.cost_report(Value(1.0), max_rows=0), ValueError, "max_rows is 0"),
])  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=f"cost_report: .*{message}"):
        call()
