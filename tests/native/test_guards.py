"""Guards: whatever a compiled function reads from around it, a change of it is seen at the next call."""

from __future__ import annotations

import array
import collections
import dataclasses
import decimal
import enum
import fractions
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn
from chainrule.traced import TracedError
from tests.native.agree import agree

NAME = "guarded_by_tests"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of modules that functions import."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "__init__.py").write_text("from . import cfg\n")
    (folder / "cfg.py").write_text("k = 2.0\n")
    (folder / "late.py").write_text("k = 2.0\n")
    (folder / "user.py").write_text(
        "from . import cfg\n"
        "def sibling(x):\n    return x * cfg.k\n"
        "def within(x):\n    from . import cfg as c\n    return x * c.k\n"
        "def name(x):\n    from .cfg import k\n    return x * k\n"
        "def late(x):\n    from . import late\n    return x * late.k\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [m for m in sys.modules if m.partition(".")[0] == NAME]:
        del sys.modules[name]


class Plain:
    k: Any = 2.0


class Slotted:
    __slots__ = ("k", "__hidden")

    def __init__(self) -> None:
        self.k = 2.0
        self.__hidden = 1.0

    def times(self, x: Any) -> Any:
        return x * self.__hidden

    def hide(self, k: float) -> None:
        self.__hidden = k


@dataclasses.dataclass(slots=True)
class Data:
    k: float = 2.0


@dataclasses.dataclass(frozen=True)
class Frozen:
    k: float = 2.0


class Colour(enum.Enum):
    RED = 2.0
    BLUE = 3.0


class Mapping(collections.UserDict):  # type: ignore[type-arg]
    pass


class Words(dict):  # type: ignore[type-arg]
    scale = 1.0


def of_modules(which: str) -> Any:
    def make() -> Any:
        user = __import__(f"{NAME}.user", fromlist=["user"])

        def change() -> None:
            vars(sys.modules[f"{NAME}.{'late' if which == 'late' else 'cfg'}"])["k"] = 3.0

        return getattr(user, which), change

    return make


def of(x: Any, read: Any, change: Any) -> Any:
    """A case: something around a function, how it is read, and how it changes."""

    def make() -> Any:
        around = x()
        return lambda v: v * read(around), lambda: change(around)

    return make


def with_global() -> Any:
    space: dict[str, Any] = {"k": 2.0, "__name__": "somewhere"}
    exec("def f(x):\n    return x * k\n", space)
    return space["f"], lambda: space.update(k=3.0)


def with_import() -> Any:
    space: dict[str, Any] = {"__name__": "somewhere"}
    exec(f"def f(x):\n    import {NAME}.cfg as cfg\n    return x * cfg.k\n", space)
    return space["f"], lambda: setattr(sys.modules[f"{NAME}.cfg"], "k", 3.0)


def with_chain() -> Any:
    space: dict[str, Any] = {"__name__": "somewhere", "pkg": __import__(NAME)}
    exec("def f(x):\n    return x * pkg.cfg.k\n", space)
    return space["f"], lambda: setattr(sys.modules[f"{NAME}.cfg"], "k", 3.0)


def with_default() -> Any:
    def f(x: Any, *, box: Any = [2.0]) -> Any:  # noqa: B006
        return x * box[0]

    f.__kwdefaults__ = {"box": (box := [2.0])}
    return f, lambda: box.__setitem__(0, 3.0)


def set_environment(x: Any) -> None:
    os.environ["CHAINRULE_TEST_K"] = "3.0"


def assign(name: str, new: Any) -> Any:
    return lambda x: setattr(x, name, new)


def put(key: Any, new: Any) -> Any:
    return lambda x: x.__setitem__(key, new)


# name: how the function and what changes its numbers are made
CASES: dict[str, Any] = {
    "a global": with_global,
    "a default": with_default,
    "a module imported inside": with_import,
    "a module of a module": with_chain,
    "a sibling module": of_modules("sibling"),
    "a sibling imported inside": of_modules("within"),
    "a name imported inside": of_modules("name"),
    "a module not yet imported": of_modules("late"),
    "a list": of(lambda: [2.0], lambda x: x[0], put(0, 3.0)),
    "another type in a list": of(lambda: [2], lambda x: x[0], put(0, 2.0)),
    "the sign of a zero": of(lambda: [1.0, 0.0], lambda x: np.copysign(1.0, x[1]), put(1, -0.0)),
    "a list in a list": of(lambda: [[2.0]], lambda x: x[0][0], lambda x: x[0].append(x[0].pop() + 1)),
    "a deque": of(lambda: collections.deque([2.0]), lambda x: x[0], lambda x: x.appendleft(3.0)),
    "a set": of(lambda: {2.0}, lambda x: max(x), lambda x: x.add(3.0)),
    "a dict": of(lambda: {"k": 2.0}, lambda x: x["k"], put("k", 3.0)),
    "a dict in a dict": of(lambda: {"a": {"k": 2.0}}, lambda x: x["a"]["k"], lambda x: x["a"].update(k=3.0)),
    "a defaultdict": of(lambda: collections.defaultdict(float, k=2.0), lambda x: x["k"], put("k", 3.0)),
    "a Counter": of(lambda: collections.Counter("aa"), lambda x: x["a"], lambda x: x.update("a")),
    "an OrderedDict": of(lambda: collections.OrderedDict(k=2.0), lambda x: x["k"], put("k", 3.0)),
    "its order": of(
        lambda: collections.OrderedDict(a=2.0, b=3.0), lambda x: next(iter(x.values())),
        lambda x: x.move_to_end("a"),
    ),
    "a UserDict": of(lambda: collections.UserDict(k=2.0), lambda x: x["k"], put("k", 3.0)),
    "a UserDict of one's own": of(lambda: Mapping(k=2.0), lambda x: x["k"], put("k", 3.0)),
    "an attribute of a dict": of(Words, lambda x: x.scale, assign("scale", 3.0)),
    "a ChainMap": of(lambda: collections.ChainMap({}, {"k": 2.0}), lambda x: x["k"], put("k", 3.0)),
    "a SimpleNamespace": of(lambda: types.SimpleNamespace(k=2.0), lambda x: x.k, assign("k", 3.0)),
    "a mapping proxy": of(lambda: {"k": 2.0}, lambda x: types.MappingProxyType(x)["k"], put("k", 3.0)),
    "array.array": of(lambda: array.array("d", [2.0]), lambda x: x[0], put(0, 3.0)),
    "a bytearray": of(lambda: bytearray(b"\2"), lambda x: x[0], put(0, 3)),
    "an attribute": of(Plain, lambda x: x.k, assign("k", 3.0)),
    "an attribute by getattr": of(Plain, lambda x: getattr(x, "k", 2.0), assign("k", 3.0)),
    "an attribute of the class": of(
        lambda: type("P", (Plain,), {})(), lambda x: x.k, lambda x: setattr(type(x), "k", 3.0)
    ),
    "a method exchanged": of(
        lambda: type("P", (), {"k": lambda self: 2.0})(), lambda x: x.k(),
        lambda x: setattr(x, "k", lambda: 3.0),
    ),
    "a slot": of(Slotted, lambda x: x.k, assign("k", 3.0)),
    "a hidden slot": of(Slotted, lambda x: x.times(2.0), lambda x: x.hide(3.0)),
    "a dataclass with slots": of(Data, lambda x: x.k, assign("k", 3.0)),
    "a frozen dataclass": of(lambda: [Frozen()], lambda x: x[0].k, put(0, Frozen(3.0))),
    "an enum": of(lambda: {"c": Colour.RED}, lambda x: x["c"].value, put("c", Colour.BLUE)),
    "a fraction": of(lambda: [fractions.Fraction(2)], lambda x: float(x[0]), put(0, fractions.Fraction(3))),
    "a decimal": of(lambda: [decimal.Decimal(2)], lambda x: float(x[0]), put(0, decimal.Decimal(3))),
    "a NumPy number": of(lambda: [np.float32(2)], lambda x: x[0], put(0, np.float32(3))),
    "its dtype": of(lambda: [np.float64(2)], lambda x: x[0], put(0, np.float32(2))),
    "an array in place": of(lambda: np.full(4, 2.0), lambda x: x, put(slice(None), 3.0)),
    "a large array in place": of(lambda: np.full(20_000, 2.0), lambda x: x, put(slice(None), 3.0)),
    "an array in a list": of(lambda: [np.full(4, 2.0)], lambda x: x[0], put(0, np.full(4, 3.0))),
    "the environment": of(
        lambda: os.environ.__setitem__("CHAINRULE_TEST_K", "2.0"),
        lambda x: float(os.environ["CHAINRULE_TEST_K"]), set_environment,
    ),
    "the environment by getenv": of(
        lambda: os.environ.__setitem__("CHAINRULE_TEST_K", "2.0"),
        lambda x: float(os.getenv("CHAINRULE_TEST_K", "0")), set_environment,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen_at_the_next_call(name: str) -> None:
    f, change = CASES[name]()
    fast = cr.compile(f)
    for x in (1.5, 3):
        for _ in range(3):
            agree(fast(x), f(x), strict=True)
    programs = sum(map(len, fast.programs.values()))
    imports = name in ("a module imported inside", "a module not yet imported")  # which the first call does
    assert programs <= (3 if imports else 2), "what has not changed compiles nothing anew"
    before = repr(f(1.5))
    change()
    assert repr(f(1.5)) != before or name == "another type in a list"
    for x in (1.5, 3):
        for _ in range(2):
            agree(fast(x), f(x), strict=True)


# -------------------------------------------------------------------- Values


@pytest.mark.parametrize("where", ["list", "dict", "attribute", "layer"])
def test_an_equal_value_in_the_place_of_another_is_another(where: str) -> None:
    """What a step has to change is the new one, though both hold the same number just now."""
    layer = nn.Linear(1, 1, rng=0)
    layer.bias.data[...] = 2.0
    homes: dict[str, Any] = {
        "list": ([Value(2.0)], lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
        "dict": ({"w": Value(2.0)}, lambda h: h["w"], lambda h, v: h.update(w=v)),
        "attribute": (types.SimpleNamespace(w=Value(2.0)), lambda h: h.w, lambda h, v: setattr(h, "w", v)),
        "layer": (layer, lambda h: h.bias, lambda h, v: setattr(h, "bias", v)),
    }
    home, get, put = homes[where]

    @cr.compile
    def step(x: Any) -> Any:
        w = get(home)
        w.data = w.data * x
        return w * 1.0

    step(1.0)
    old = get(home)
    put(home, Value(old.data))
    agree(step(3.0).data, old.data * 3.0)
    agree(get(home).data, old.data * 3.0)
    assert Value(1.0) == Value(1.0)  # elsewhere they compare as ever


def test_attributes_that_are_not_read_may_change() -> None:
    """Also large ones and new ones; and what is read is watched as before."""
    p = Plain()
    p.k = 2.0
    f = cr.compile(lambda x: x * p.k)
    assert f(1.0) == 2.0
    for i in range(4):
        p.steps = i  # type: ignore[attr-defined]
        p.history = np.full(3, i)  # type: ignore[attr-defined]
        assert f(1.0) == 2.0
    assert sum(map(len, f.programs.values())) == 1
    p.k = 3.0
    assert f(1.0) == 3.0
    del p.k
    assert f(1.0) == 2.0


def test_equal_numbers_given_anew_compile_nothing() -> None:
    box: dict[str, Any] = {"k": 0.1, "sizes": [16, 16], "nan": float("nan")}
    f = cr.compile(lambda x: x * box["k"] * len(box["sizes"]))
    for _ in range(3):
        assert f(1.0) == 0.1 * 2
        box["k"], box["nan"] = float("0.1"), float("nan")
    assert sum(map(len, f.programs.values())) == 1


# -------------------------------------------------------------------- large arrays

N = 20_000  # numbers, more than are compared
LARGE: dict[str, Any] = {
    "as it is": (lambda: np.arange(float(N)), lambda v, x: v * x),
    "all zeros": (lambda: np.zeros(N), lambda v, x: v * x + v),
    "integers": (lambda: np.arange(N), lambda v, x: v * x),
    "single": (lambda: np.ones(2 * N, np.float32), lambda v, x: v * x),
    "half": (lambda: np.ones(4 * N, np.float16), lambda v, x: v * x),
    "complex": (lambda: np.ones(N, complex), lambda v, x: v * x),
    "big-endian": (lambda: np.arange(N).astype(">f8"), lambda v, x: v * x),
    "Fortran": (
        lambda: np.asfortranarray(np.arange(float(N)).reshape(100, 200)), lambda v, x: (v * x) @ v[0]
    ),
    "transposed": (lambda: np.arange(float(N)).reshape(100, 200), lambda v, x: v.T * x),
    "every other": (lambda: np.arange(2.0 * N)[::2], lambda v, x: v * x),
    "windows": (
        lambda: np.arange(2.0 * N).reshape(200, 200), lambda v, x: v[:, 3] * x + v[::4, 5] @ (v[0, :50] * x)
    ),
    "no axes": (lambda: np.arange(2.0 * N).reshape(200, 200), lambda v, x: v[3, 4, ...] * x),
    "a Value of it": (lambda: np.ones((200, 200), np.float32), lambda v, x: np.sum(Value(v) * x).data),
    "a mask": (lambda: np.arange(5 * N) % 2, lambda v, x: (np.arange(5.0 * N) * x)[v]),
    "an index": (lambda: np.arange(N) % 100, lambda v, x: (np.arange(200.0) * x)[v]),
    "a broadcast": (lambda: np.ones((1, 2)), lambda v, x: np.broadcast_to(v, (N, 2)) * x),
    "in a loop": (
        lambda: np.ones((200, 200)),
        lambda v, x: cr.scan(lambda c, _: (np.sum(v * c) * 1e-4, None), x, length=3)[0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_a_large_array_is_read_at_each_call(name: str) -> None:
    make, f = LARGE[name]
    v = make() > 0 if name == "a mask" else make()
    fast, checked = cr.compile(lambda x: f(v, x)), cr.compile(lambda x: f(v, x), check=True)
    for _ in range(3):
        agree(fast(0.5), f(v, 0.5), rtol=1e-6 if v.dtype.itemsize < 8 else 1e-12)
        checked(0.5)
        v[...] = ~v if v.dtype == bool else v + 1


def test_large_arrays_in_derivatives() -> None:
    v, w = np.zeros(N), Value(2.0)
    f = cr.compile(lambda x: np.sum(v * w * x))
    for k in range(3):
        w.grad = None
        f(3.0).backward()
        agree(w.grad, 3.0 * N * k)
        v += 1


@pytest.mark.parametrize("how", ["product", "matrix", "index", "loop"])
def test_a_buffer_that_is_filled_anew_is_read_by_forward_and_backward(how: str) -> None:
    """A step whose minibatch lies in an array of the closure."""
    losses: dict[str, Any] = {
        "product": lambda w, x, i: np.sum((x * w[:200] - 1.0) ** 2),
        "matrix": lambda w, x, i: np.sum((x @ w[:200]) ** 2),
        "index": lambda w, x, i: np.sum((w[i] - 1.0) ** 2),
        "loop": lambda w, x, i: cr.scan(lambda c, row: (c + np.sum(row * w[:200]) ** 2, None), 0.0, x)[0],
    }

    def run(wrap: Any) -> Any:
        rng, w = np.random.default_rng(0), Value(np.linspace(0.0, 1.0, 300))
        x, i = np.zeros((60, 200)), np.zeros(9000, int)

        @wrap
        def step() -> Any:
            w.grad = None
            loss = losses[how](w, x, i)
            loss.backward()
            w.data = w.data - 1e-6 * w.grad
            return loss

        out = []
        for _ in range(4):
            x[...], i[...] = rng.normal(size=x.shape), rng.integers(300, size=i.shape)
            out += [step().data, w.data.copy()]
        return out

    agree(run(cr.compile), run(lambda f: f), rtol=1e-10)


def test_a_derivative_asked_for_after_a_change_is_refused() -> None:
    """It is compiled then, from a function that would give something else by now."""
    box, w = [1.0], Value(2.0)
    y = cr.compile(lambda x: w * x * box[0])(3.0)
    box[0] = 5.0
    with pytest.raises(RuntimeError, match=r"box\[0\] was 1\.0, is 5\.0"):
        y.backward()


LAST: Any = 1.0


class Holder:
    shared: Any = 1.0

    def __init__(self) -> None:
        self.kept: Any = 1.0


@pytest.mark.parametrize("place", ["LAST", "NEW", "total", "o.kept", "o.new", "Holder.shared"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_traced_value_assigned_to_a_variable_is_refused_and_taken_back(place: str, fails: bool) -> None:
    o, total = Holder(), 1.0

    @cr.compile
    def f(x: Any) -> Any:
        global LAST, NEW
        nonlocal total
        match place:
            case "LAST":
                LAST = LAST * x
            case "NEW":
                NEW = cr.Value(x) * 2.0
            case "total":
                total = total + x
            case "o.kept":
                o.kept = x * 2.0
            case "o.new":
                o.new = x * 2.0  # type: ignore[attr-defined]
            case "Holder.shared":
                Holder.shared = x * 2.0
        return float(x) if fails else x

    with pytest.raises(
        TracedError, match="float" if fails else rf"assigns a traced value to {place}, .*data ="
    ):
        f(np.ones(3))
    assert (LAST, total, o.kept, Holder.shared) == (1.0, 1.0, 1.0, 1.0)
    assert "NEW" not in globals() and not hasattr(o, "new")


def test_an_update_in_place_of_a_leaf_is_refused_at_the_first_call() -> None:
    p = cr.Value(np.ones(3))

    @cr.compile
    def step() -> Any:
        nonlocal p
        loss = np.sum(p * p)
        loss.backward()
        p -= 0.1 * p.grad
        return loss

    with pytest.raises(TypeError, match="leaf that has a gradient"):
        step()
