"""Costs: the structure of Jacobians beside Jacobians that are written out, and the notes' table by hand."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.sweeps.cost import flops, nonzero, operations, product_flops, size, stored

RNG = np.random.default_rng(0)


def some(*shape):
    return RNG.uniform(0.5, 1.5, size=shape)


STRUCTURES = {
    "add": (lambda x, y: x + y, (3, 4), (3, 4)),
    "add, broadcast": (lambda x, y: x * y, (3, 4), (4,)),
    "of a number": (lambda x, y: x * y, (3, 4), ()),
    "tanh": (np.tanh, (5,)),
    "matmul": (lambda x, y: x @ y, (3, 4), (4, 2)),
    "stack of matmul": (lambda x, y: x @ y, (2, 3, 4), (4, 2)),
    "einsum of two": (lambda x, y: np.einsum("ij,kj->ik", x, y), (3, 4), (2, 4)),
    "einsum, all summed": (lambda x, y: np.einsum("ij,kl->", x, y), (3, 4), (2, 2)),
    "einsum, outer": (lambda x, y: np.einsum("i,j->ij", x, y), (3,), (2,)),
    "einsum, diagonal": (lambda x: np.einsum("ii->i", x), (3, 3)),
    "trace": (np.trace, (3, 3)),
    "sum": (lambda x: np.sum(x, axis=0), (3, 4)),
    "mean": (lambda x: np.mean(x, axis=1), (3, 4)),
    "cumsum": (lambda x: np.cumsum(x, axis=1), (3, 4)),
    "cumprod": (lambda x: np.cumprod(x, axis=1), (3, 4)),
    "reshape": (lambda x: x.reshape(2, 6), (3, 4)),
    "transpose": (lambda x: x.T, (3, 4)),
    "slice": (lambda x: x[1:, ::2], (3, 4)),
    "gather": (lambda x: x[np.array([0, 2, 2])], (3, 4)),
    "concatenate": (lambda x, y: np.concatenate([x, y]), (3, 4), (2, 4)),
    "pad": (lambda x: np.pad(x, 2), (3, 4)),
    "broadcast": (lambda x: np.broadcast_to(x, (3, 4)), (4,)),
    "softmax": (lambda x: cr.softmax(x, axis=-1), (3, 4)),
    "logsumexp": (lambda x: cr.logsumexp(x, axis=0), (3, 4)),
    "std": (lambda x: np.std(x, axis=1), (3, 4)),
    "norm": (lambda x: np.linalg.norm(x, axis=1), (3, 4)),
    "prod": (np.prod, (4,)),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structurally_nonzero_entries_are_those_of_the_jacobian_at_a_point_in_general(name):
    f, *shapes = STRUCTURES[name]
    xs = [some(*s) if s else float(some()) for s in shapes]
    leaves = list(map(Value, xs))
    y = f(*leaves)
    for v in cr.graph.order([y]):  # functions of several steps: each by itself
        for i, x in enumerate(v.inputs):
            if type(x) is Value:
                alone = [Value(a) if j == i else a for j, a in enumerate(v.args)]
                z = v.primitive(*alone, **v.params)
                rows = []
                for k in range(z.size):
                    g = np.zeros(z.shape)
                    g.flat[k] = 1.0
                    at = Value(alone[i].data)
                    again = v.primitive(*[at if j == i else a for j, a in enumerate(v.args)], **v.params)
                    again.backward(g if z.shape else 1.0)
                    rows.append(np.ravel(at.grad))
                assert nonzero(v, i) == np.count_nonzero(rows), (name, v.primitive)


def test_a_gate_counts_open_or_closed_and_what_has_no_derivative_does_not():
    x = Value(np.array([-1.0, 1.0]))
    assert nonzero(cr.relu(x), 0) == 2 and nonzero(np.floor(x), 0) == 0


def test_flops_and_bytes():
    x, w = Value(some(3, 4)), Value(some(4, 2))
    y = x @ w
    assert (flops(y), stored(y), size(y)) == (2 * 3 * 4 * 2, 6 * 8, 6)
    assert flops(np.tanh(x)) == 12 and flops(np.sum(x)) == 12 and flops(cr.softmax(x)) == 12
    assert flops(x.T) == 0 and stored(x.T) == 0 and stored(x.reshape(12)) == 0
    assert flops(Value(2.0) * 3.0) == 1 and stored(Value(2.0) * 3.0) == 8
    assert flops(np.einsum("ij,jk->ik", x, w)) == 48
    last, _ = cr.scan(lambda c, a: (c @ w @ w.T, a), x, np.ones(5))
    loop = last.inputs[0]
    assert flops(loop) == 5 * (2 * 3 * 4 * 2) * 2 == product_flops([loop])


def layers():
    I, W1, W3, W4 = (Value(some(*s)) for s in [(10, 10), (10, 5), (5, 1), (5, 1)])
    b1, b3, b4 = (Value(some(*s)) for s in [(5,), (1,), (1,)])
    Z1 = cr.relu(I @ W1 + b1)
    Z3, Z4 = cr.relu(Z1 @ W3 + b3), cr.relu(Z1 @ W4 + b4)
    return W1, Z1, Z3, Z4, (Z5 := Z3 + Z4), np.sum(Z5)


def test_the_two_layer_network():
    """Six Jacobians, as counted by hand: each row of Z reads one row of what it is computed from."""
    W1, Z1, Z3, Z4, Z5, J = layers()
    made, _ = operations(J, [W1])
    found = {(f.result, f.operand): (f.rows * f.columns, f.nonzero) for o in made for f in o.factors}
    assert found == {
        (J, Z5): (10, 10),
        (Z5, Z3): (10 * 10, 10),
        (Z5, Z4): (10 * 10, 10),
        (Z3, Z1): (10 * 50, 10 * 5),
        (Z4, Z1): (10 * 50, 10 * 5),
        (Z1, W1): (50 * 50, 50 * 10),
    }
    assert np.sum(list(found.values()), axis=0).tolist() == [3710, 630]


def test_what_is_done_twice_with_the_same_operands_counts_once():
    x, m = Value(some(3, 3)), some(3, 3)
    y = np.sum(np.tanh(m @ x)[0] + np.tanh(m @ x)[0] + np.tanh(m @ x)[1])
    made, first = operations(y, [x])
    assert [o.times for o in made] == [3, 2, 1, 1, 1, 1]
    assert made[0].flops == 3 * (54 + 9) and len(set(first.values())) < len(first)
    different = np.sum(np.tanh(m @ x) + np.tanh((m + 1e-9) @ x))
    assert [o.times for o in operations(different, [x])[0]] == [1, 1, 1, 1]
    assert [o.times for o in operations(x * 2.0 + x * 2.5, [x])[0]] == [1, 1, 1]


def test_only_what_scales_or_rearranges_rows_is_folded():
    x = Value(some(3))
    for y, chains in [
        (np.exp(np.sin(x)), [2]),
        (np.sin(x) * x, [1, 1]),  # two operands on a way
        ((s := np.sin(x)) * 2.0 + s, [1, 1, 1]),  # used by somebody else
        (np.sin(x) * some(2, 3), [1, 1]),  # broadcast
        (np.sin(x).reshape(3, 1), [2]),
        (np.sum(np.sin(x)), [1, 1]),
    ]:
        assert [len(o.nodes) for o in operations(y, [x])[0]] == chains
    assert operations(x, [x])[0] == []


def test_nodes_off_the_way_cost_and_have_no_jacobian():
    x, w = Value(2.0), Value(3.0)
    y = np.exp(w) * x
    made, _ = operations(y, [x])
    assert [(o.flops, len(o.factors)) for o in made] == [(1, 0), (1, 1)]
