"""What a report counts, and how it reads."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn, optim
from chainrule.native import report as reporting


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "off")


@pytest.fixture
def speed(monkeypatch):
    """A processor that is the same everywhere: 1 Gflop/s, 2 in float32, 1 GB/s."""
    found = reporting.Speed({"float64": 1e9, "float32": 2e9}, 1e9, 1 << 20)
    monkeypatch.setattr(reporting, "_speed", lambda size: found)


def reported(f, *args):
    f = cr.compile(f)
    f(*args)
    return f.report()


A, B = np.ones((8, 16)), np.ones((16, 4))


# -------------------------------------------------------------------- counts


def test_an_elementwise_loop(speed):
    (k,) = reported(lambda x: np.tanh(1.5 * x + 0.3) * np.exp(-x), A).kernels
    head, ops = k.what.split(": ")
    assert head == "loop over 8 × 16"
    assert set(ops.split()) == {"multiply", "multiply_add", "tanh", "negative", "exp"}
    assert (k.operations, k.flops, k.functions) == (5, 6 * 128, {"tanh": 128, "exp": 128})
    assert (k.read, k.written, k.dtype, k.why) == (128 * 8, 128 * 8, "float64", "")


def test_a_product(speed):
    (k,) = reported(lambda a, b: a @ b, A, B).kernels
    assert (k.name, k.what, k.operations) == ("matmul0", "8×16 @ 16×4", 1)
    assert (k.flops, k.read, k.written) == (2 * 8 * 16 * 4, (128 + 64) * 8, 32 * 8)


def test_a_stack_of_products_with_a_transposed_operand(speed):
    (k,) = reported(lambda a, b: a @ b.mT, np.ones((3, 5, 7)), np.ones((3, 2, 7))).kernels
    assert k.what == "5×7 @ 7×2, 3 times, b transposed"
    assert k.flops == 2 * 3 * 5 * 7 * 2


def test_float32_has_its_own_peak(speed):
    wide, narrow = (reported(lambda a, b: a @ b, A.astype(t), B.astype(t)) for t in ("f8", "f4"))
    assert (wide.kernels[0].dtype, narrow.kernels[0].dtype) == ("float64", "float32")
    assert narrow.bound < wide.bound


def test_stages_of_softmax_are_told_apart(speed):
    def softmax(x):
        y = np.exp(x - np.max(x, axis=1, keepdims=True))
        return y / np.sum(y, axis=1, keepdims=True)

    (k,) = reported(softmax, A).kernels
    assert k.what == "loop over 8 × 16: max | subtract exp sum | divide"


def test_what_a_broadcast_shows_again_is_read_once(speed):
    k = reported(lambda x, b: x + b, A, np.ones(16)).kernels[0]
    assert k.read == (128 + 16) * 8
    k = reported(lambda x: x[:4] * 2.0, A).kernels[0]
    assert k.read == 64 * 8


def test_the_bound_is_the_larger_of_arithmetic_and_memory(speed):
    r = reported(lambda a, b: np.sum(a @ b), A, B)
    product, loop = r.kernels
    assert product.bound(r.speed) == pytest.approx(max(1024, 192 * 8 + 32 * 8) * 1e-9)
    assert loop.bound(r.speed) == pytest.approx((32 * 8 + 8) * 1e-9)
    assert r.bound == product.bound(r.speed) + loop.bound(r.speed)
    assert r.flops == 1024 + 32


def test_a_scan_counts_all_its_steps(speed):
    r = reported(lambda x: cr.scan(lambda c, t: (c * 0.5 + t, c), 0.0, x), np.ones(50))
    assert r.flops == 100
    assert [(k.name, k.what, k.written) for k in r.kernels if not k.why] == [
        ("scan0", "50 turns of: multiply add", 8 + 50 * 8)
    ]


@pytest.mark.parametrize(
    ("f", "x", "said"),
    [
        (lambda x: np.sort(x, axis=0), A, "sort: no native code for it"),
        (lambda x: (x * 1j).real, A, "multiply: native code works on float64, .* not on complex128"),
        (lambda x: x * 2, A.astype(np.float16), "multiply: native code works on .* not on float16"),
        (lambda x: x // 2, A.astype(int), "floor_divide: native code for int64 does"),
    ],
)
def test_what_falls_back_says_why(speed, f, x, said):
    r = reported(f, x)
    assert r.fallbacks and all(k.name == "NumPy" for k in r.fallbacks)
    assert re.search(said, str(r)), str(r)


# -------------------------------------------------------------------- memory, programs, stages


def test_memory(speed):
    r = reported(lambda a, b: np.tanh(a @ b) @ np.ones((4, 3)), A, B)
    assert r.results == 8 * 3 * 8
    assert r.constants == 12 * 8
    assert r.arena >= 8 * 4 * 8
    assert r.peak_memory == r.arena + r.results + r.constants


def test_state_in_place_is_no_result(speed):
    w = Value(np.ones(1000))

    def step(x):
        w.data = w.data * 0.5 + x

    assert reported(step, np.ones(1000)).results == 0


def test_it_is_about_the_program_used_last(speed):
    f = cr.compile(lambda x, rate=0.5: x * rate)
    with pytest.raises(RuntimeError, match="report: <lambda> has not been called yet; call it once"):
        f.report()
    f(A)
    assert (f.report().programs, f.report().signature) == (1, "x float64 (8, 16)")
    f(B, rate=0.1)
    r = f.report()
    assert (r.programs, r.signature) == (2, "x float64 (16, 4), rate float")
    assert "one of 2 programs" in str(r)


def test_stages():
    r = reported(lambda x: np.sin(x) * 1.0 + np.sin(x), A)
    assert r.nodes["capture"] > r.nodes["simplify"]
    assert {"capture", "simplify", "fuse", "emit", "LLVM"} <= set(r.seconds)
    assert not r.cached and "LLVM" in str(r)


def test_the_disk_cache_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    first, second = (reported(lambda x: np.cbrt(x) + 0.125, A) for _ in range(2))
    assert not first.cached and second.cached
    assert "from the disk cache" in str(second) and "from the disk cache" not in str(first)


def test_scalars_rolled_up(speed):
    w = Value(0.5)

    def f():
        loss = sum((w * (0.1 * i) + 1.0).tanh() for i in range(100))
        w.grad = None
        loss.backward()
        return loss

    r = reported(f)
    assert r.nodes["capture"] > 4 * r.nodes["roll"]
    assert all(k.name.startswith("nest") for k in r.kernels) and r.functions["tanh"] == 100


# -------------------------------------------------------------------- the text


def test_the_text(speed):
    r = reported(lambda x, w: np.sum(np.tanh(x @ w) * 2.0, axis=1), A, B)
    title, table, summary = str(r).split("\n\n")
    assert title == "<lambda>(x float64 (8, 16), w float64 (16, 4)), its only program"
    assert "\n" + table == """
kernel   what                                        flops     read  written  at least  share
matmul0  8×16 @ 16×4                                1.02 k  1.54 kB    256 B   1.79 µs   85 %
nest1    loop over 8 × 4: tanh multiply sum | copy      96    256 B     64 B    320 ns   15 %
all                                                 1.12 k  1.79 kB    320 B   2.11 µs  100 %"""
    lines = summary.splitlines()
    assert lines[:3] == [
        "fused     4 operations fused into 1 loop nest; 1 matrix product",
        "NumPy     nothing falls back to it",
        "functions 32 tanh",
    ]
    assert lines[3] == (
        "at least  2.11 µs a call on one core of 1 Gflop/s in float64, 2 Gflop/s in float32, "
        "1 GB/s in 1.05 MB"
    )
    assert [line.split()[0] for line in lines[4:]] == ["memory", "nodes", "compiled"]


def test_a_training_step_reads_well():
    rng = np.random.default_rng(0)
    model = nn.MLP([64, 128, 10], activation="relu", rng=rng, dtype=np.float32)
    rule = optim.SGD(model.parameters(), lr=0.1)

    @cr.compile
    def step(x, labels):
        loss = nn.cross_entropy(model(x), labels)
        rule.zero_grad()
        loss.backward()
        rule.step()
        return loss

    step(rng.normal(size=(64, 64)).astype(np.float32), rng.integers(0, 10, 64))
    r = step.report()
    products = 2 * 64 * (2 * 64 * 128 + 3 * 128 * 10)
    assert products < r.flops < 1.1 * products
    assert "fused" in str(r) and max(map(len, str(r).splitlines())) < 160
    assert r.functions["exp"] >= 640


# -------------------------------------------------------------------- the processor


def test_peak_and_bandwidth_are_plausible():
    found = reporting._speed(1 << 16)
    assert 1e9 < found.peak["float64"] < 1e12
    assert 1.5 < found.peak["float32"] / found.peak["float64"] < 2.5
    assert 1e9 < found.bandwidth < 1e13


def test_measured_once(monkeypatch):
    reporting._speed(1 << 16)
    monkeypatch.setattr(reporting, "_least", None)
    reporting._speed(1 << 16)


# -------------------------------------------------------------------- IR and graph


def test_llvm_ir():
    f = cr.compile(np.tanh)
    with pytest.raises(RuntimeError, match="llvm_ir: tanh has not been called yet"):
        f.llvm_ir()
    f(A)
    assert "define internal void @nest0(" in f.llvm_ir()
    assert f.report().kernels[0].name == "nest0"


def test_a_product_that_is_added_to_something_is_one_kernel():
    f = cr.compile(lambda w, x, g: w - 0.1 * (x.T @ g))
    f(np.ones((4, 3)), np.ones((8, 4)), np.ones((8, 3)))
    assert "gemm" in str(f.report()) and "4×8 @ 8×3, a transposed, added" in str(f.report())


def test_units_that_are_alike_share_one_function() -> None:
    """Two layers of one size are compiled once, and reported twice."""
    w, v = np.full((8, 8), 0.1), np.full((8, 8), 0.2)
    f = cr.compile(lambda x: (np.tanh(x @ w) @ v, np.tanh(x @ v) @ w))
    x = np.linspace(-1, 1, 64).reshape(8, 8)
    np.testing.assert_allclose(f(x)[0], np.tanh(x @ w) @ v, rtol=1e-13)
    np.testing.assert_allclose(f(x)[1], np.tanh(x @ v) @ w, rtol=1e-13)
    products = [k.name for k in f.report().kernels if k.name.startswith("matmul")]
    assert len(set(products)) == 4
    assert f.llvm_ir().count("define internal void @matmul") < 4
