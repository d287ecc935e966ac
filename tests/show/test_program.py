"""Compiled programs as pictures."""

import json
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "off")


def compiled(f, *args, **kwargs):
    f = cr.compile(f)
    f(*args, **kwargs)
    return f


def test_the_table():
    f = compiled(lambda x, w: np.tanh(x @ w * 2.0), np.ones((3, 4)), w=np.ones((4, 5)))
    assert "\n" + str(cr.draw(f.graph)) == """
name    operation          type            kernel
x                          float64 (3, 4)  the caller
w                          float64 (4, 5)  the caller
v2      = matmul(x, w)     float64 (3, 5)  matmul0
v4      = multiply(v2, 2)  float64 (3, 5)  nest1
result  = tanh(v4)         float64 (3, 5)  nest1"""


def test_kernels_are_called_as_in_the_report():
    f = compiled(lambda x: (np.sort(np.exp(x), axis=0), x.T @ x), np.ones((3, 4)))
    kernels = {n.kernel for n in cr.draw(f.graph).description.nodes if n.kind == "result"}
    assert {k.name for k in f.report().kernels} == kernels - {"a view"}


def test_state_has_its_names():
    w = Value(np.ones(3), name="w")

    def step(x):
        loss = np.sum(w * x)
        w.grad = None
        loss.backward()
        w.data -= 0.1 * w.grad
        return {"loss": loss}

    names = {n.name for n in cr.draw(compiled(step, np.ones(3)).graph).description.nodes}
    assert {"x", "w", "new w", "new w.grad", "result['loss']"} <= names


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_all_forms(direction, tmp_path):
    f = compiled(lambda x: np.sum(np.tanh(x) * 2.0), np.ones((3, 4)))
    picture = cr.draw(f.graph, direction=direction)
    assert ">nest0<" in picture.svg and ">tanh<" in picture.svg and "float64 (3, 4)" in picture.svg
    assert "grad" not in picture.svg.split("</style>")[1]
    assert "by nest0" in picture.dot
    assert {n["kernel"] for n in json.loads(picture.json)["nodes"]} >= {"nest0", "the caller", ""}
    assert "nest0" in picture.html
    assert picture.save(tmp_path / "program.svg").exists()


def test_a_large_one_is_cut_off():
    def f(x):
        for i in range(100):
            x = np.tanh(x * i)
        return x

    graph = compiled(f, np.ones(3)).graph
    picture = cr.draw(graph, max_nodes=10)
    values = [n for n in picture.description.nodes if n.kind != "operation"]
    assert len(values) <= 10 and picture.description.left_out
    assert "left out" in str(picture)


def test_pictures_of_values_are_as_they_were():
    x = Value(2.0, name="x")
    assert "data" in str(cr.draw(x)) and "kernel" not in str(cr.draw(x))


def test_drawing_needs_no_compiler():
    code = "import chainrule.show, sys; assert 'llvmlite' not in sys.modules and 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_to_draw_before_the_first_call():
    with pytest.raises(RuntimeError, match="graph: tanh has not been called yet; call it once, then ask"):
        cr.draw(cr.compile(np.tanh).graph)
