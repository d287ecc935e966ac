"""The documentation's page of functions says what the library's tables say."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.numpy import protocols
from chainrule.rules import special
from docs import functions_page


@pytest.fixture(scope="module")
def page() -> str:
    text: str = functions_page.page()
    return text


def rows(page: str) -> dict[str, list[str]]:
    found = re.findall(r"^\| `([\w.]+)` \| (\w+) \| (\w+) \| (\S+) \| (.*) \|$", page, re.MULTILINE)
    return {name: rest for name, *rest in found}


def test_every_registered_function_is_on_it_in_both_modes(page: str) -> None:
    listed = rows(page)
    assert set(listed) >= {functions_page.numpy_name(f) for f in protocols.FUNCTIONS}
    assert set(listed) >= {f"np.{name}" for name in protocols.UFUNCS}
    ufuncs = {f.__name__ for f in special.CALLS if not f.__name__.startswith("_")}
    assert set(listed) >= {f"scipy.special.{name}" for name in ufuncs}
    assert {row[0] for row in listed.values()} == {"both"} and {row[1] for row in listed.values()} == {"any"}
    assert len(listed) == functions_page.count()
    assert f"**{len(listed)} functions of NumPy and SciPy have derivatives**" in page
    assert len(listed) > functions_page.HIPS and f"has {functions_page.HIPS} " in page


@pytest.mark.parametrize(
    "name, complexes, note",
    [
        ("np.exp", "yes", "tried with `dtype=`, `out=`, `where=`"),
        ("np.floor", "–", "derivative 0 wherever there is one"),
        ("np.linalg.eigh", "yes", "tried with `UPLO=`"),
        ("np.arctan2", "–", ""), ("scipy.special.jve", "no", ""),
    ],
)  # fmt: skip
def test_what_it_says_of_one(page: str, name: str, complexes: str, note: str) -> None:
    assert rows(page)[name][2:] == [complexes, note]


def test_an_order_that_fails_is_seen() -> None:
    sine = cr.primitive(partials=lambda y, x: math.cos(x))(math.sin)
    for derivative in (functions_page.pulled, functions_page.pushed):
        assert functions_page.orders(sine, (0.5,), derivative) == (1, False)
        assert functions_page.orders(np.ix_, (np.ones(2),), derivative) == (0, False)


def test_what_is_refused_fails(page: str) -> None:
    refused = functions_page.refused()
    assert "scipy.special.ellipkinc" in refused and refused["np.ix_"].startswith("v.data")
    for name in ("np.ix_", "np.nextafter"):
        assert f"| `{name}` | {refused[name]} |" in page
        f = getattr(np, name.removeprefix("np."))
        with pytest.raises(TypeError, match="chainrule has no derivative for this function"):
            f(*[Value(np.ones(3))] * 2)


def test_a_function_without_an_expression_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.FUNCTIONS, np.ix_, lambda *args: args)
    with pytest.raises(LookupError, match=r"np\.ix_ has no row in tests/numpy/table\.py"):
        functions_page.covered()
