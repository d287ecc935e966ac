"""The table."""

import numpy as np

import chainrule as cr
from chainrule import Value
from chainrule.show import summary


def test_a_graph_before_and_after_backward():
    a = Value(-4.0)
    b = Value(2.0)
    c = a + b
    d = a * b + b**3
    c = c + c + 1.0
    g = c * d
    assert "\n" + str(cr.draw(g)) == """
name  operation  data  grad  local derivatives
a                -4    0
b                2     0
v2    = a + b    -2    0     ∂v2/∂a = 1, ∂v2/∂b = 1
v3    = a * b    -8    0     ∂v3/∂a = b = 2, ∂v3/∂b = a = -4
v4    = b ** 3   8     0     ∂v4/∂b = 3·b² = 12
d     = v3 + v4  0     0     ∂d/∂v3 = 1, ∂d/∂v4 = 1
v6    = v2 + v2  -4    0     ∂v6/∂v2 = 1 (×2)
c     = v6 + 1   -3    0     ∂c/∂v6 = 1
g     = c * d    -0    0     ∂g/∂c = d = 0, ∂g/∂d = c = -3"""
    g.backward()
    rows = {line.split()[0]: line for line in str(cr.draw(g)).splitlines()}
    assert rows["a"].split() == ["a", "-4", "-6"]
    assert rows["b"].split() == ["b", "2", "-24"]


def test_arrays_have_a_column_for_their_type():
    x, w = Value(np.ones((2, 3))), Value(np.ones((3, 1), dtype=np.float32))
    y = (x @ w).sum()
    assert "\n" + str(cr.draw(y)) == """
name  operation               type            data               grad  local derivatives
x                             float64 (2, 3)  [[1 1 1] [1 1 1]]  0
w                             float32 (3, 1)  [[1] [1] [1]]      0
v2    = x @ w                 float64 (2, 1)  [[3] [3]]          0     ∂v2/∂x: g ↦ g·wᵀ, ∂v2/∂w: g ↦ xᵀ·g
y     = sum(v2, axis=(0, 1))  float64         6                  0     ∂y/∂v2: sum over axes 0, 1"""


def test_what_is_left_out_is_said():
    x = Value(0.5)
    y = x
    for _ in range(2000):
        y = np.sin(y)
    lines = str(cr.draw(y, max_nodes=3)).splitlines()
    assert lines[-1] == "… and 1,998 nodes further from the output, left out"
    assert "= sin of 1 left out" in lines[1]


def test_hostile_names_stay_on_their_line():
    names = ["</script><img onerror=x>", "a\u2028b", "a\nb\x1b[31m", "\u202eevil", "n" * 10**6, "重み"]
    values = [Value(1.0, name=n) for n in names]
    table = str(cr.draw(sum(values[1:], values[0])))
    assert len(table.splitlines()) == 1 + 6 + 5
    assert max(map(summary.width, table.splitlines())) < 400
    assert all(line.isprintable() for line in table.split("\n"))


def test_columns_are_aligned():
    a, longer_name, 重み = Value(1.0), Value(123.25), Value(-0.5)
    table = str(cr.draw(a * longer_name + 重み)).split("\n")
    at = table[0].index("data")
    for line in table[1:]:
        prefix = ""
        while summary.width(prefix) < at:
            prefix += line[len(prefix)]
        assert prefix.endswith("  ") and line[len(prefix)] != " "
