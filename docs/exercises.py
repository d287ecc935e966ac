"""Exercises that check themselves: call one with your function, and it says what is not right yet.

What is right is computed by the library, for numbers that the reader does not see; a mistake that is often
made is recognised by its numbers.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import chainrule as cr


@dataclass(frozen=True)
class Exercise:
    right: Callable[..., Any]
    cases: tuple[tuple[Any, ...], ...]
    mistakes: Mapping[str, Callable[..., Any]] = field(
        default_factory=dict
    )  # what to say, and of which answer

    def __call__(self, answer: Callable[..., Any]) -> None:
        print(self.verdict(answer))

    def verdict(self, answer: Callable[..., Any]) -> str:
        """``Right.``, or what is not, for the first case for which it is not."""
        for case in self.cases:
            wrong, hints = self._wrong(answer, case)
            if wrong:
                call = f"{answer.__name__}({', '.join(map(_shown, case))})"
                return "\n".join([textwrap.fill(f"Not yet: {call} {wrong}", 88), *hints])
        return "Right."

    def _wrong(self, answer: Callable[..., Any], case: tuple[Any, ...]) -> tuple[str, list[str]]:
        try:
            with np.errstate(all="ignore"):
                given = answer(*case)
        except Exception as error:
            return f"raises {type(error).__name__}: {error}", []
        if given is None:
            return "returns None. Put your answer in the place of the dots.", []
        if wrong := _difference(given, self.right(*case)):
            return f"{wrong}.", [hint for hint, f in self.mistakes.items() if self._same(given, f, case)]
        return "", []

    def _same(self, given: Any, mistake: Callable[..., Any], case: tuple[Any, ...]) -> bool:
        with np.errstate(all="ignore"):
            return not _difference(given, mistake(*case))


def _difference(given: Any, right: Any) -> str:
    """How an answer differs from the right one; nothing if it does not."""
    if isinstance(right, tuple):
        if not isinstance(given, tuple | list) or len(given) != len(right):
            got = (
                f"a {type(given).__name__} of {len(given)}"
                if isinstance(given, tuple | list)
                else "one thing"
            )
            return f"gives {got}, expected {len(right)} things: return a, b"
        found = ((i, _difference(g, r)) for i, (g, r) in enumerate(zip(given, right)))
        return next((f"{text} (number {i + 1} of {len(right)})" for i, text in found if text), "")
    try:
        given = np.asarray(given, float)
    except (TypeError, ValueError):
        return f"gives {given!r}, expected numbers"
    if given.shape != np.shape(right):
        return f"has the shape {given.shape}, expected {np.shape(right)}"
    wrong = np.argwhere(~np.isclose(given, right, rtol=1e-6, atol=1e-12, equal_nan=True))
    if not len(wrong):
        return ""
    place = tuple(int(i) for i in wrong[0]) if given.size > 3 else ...
    where = "" if place is ... else f" at {list(place)}"
    return f"gives {_shown(given[place])}, expected {_shown(np.asarray(right)[place])}{where}"


def _shown(x: Any) -> str:
    if callable(x):
        return getattr(x, "__name__", "f")
    if np.ndim(x) > 1:
        return f"<array {'×'.join(map(str, np.shape(x)))}>"
    if np.ndim(x) == 0:
        return f"{float(x):.7g}"
    return np.array2string(np.asarray(x, dtype=None), precision=6, separator=", ", max_line_width=200)


_normal = np.random.default_rng(7).normal

# ---------------------------------------------------------------- gradients and the chain rule

gradient = Exercise(
    lambda x: np.array(cr.grad(lambda x: x[0] ** 2 * x[1] + np.sin(3.0 * x[1]))(x)),
    ((np.array([1.0, 2.0]),), (np.array([-0.5, 0.3]),)),
    {
        "sin(3 x₂) is composed: its derivative is cos(3 x₂), times that of 3 x₂.": lambda x: np.array(
            [2 * x[0] * x[1], x[0] ** 2 + np.cos(3 * x[1])]
        ),
        "This is the value of a function; asked for are its two partial derivatives.": lambda x: (
            x[0] ** 2 * x[1] + np.sin(3 * x[1])
        ),
    },
)

jacobian = Exercise(
    lambda x: np.array([[x[1], x[0]], [2 * x[0], -1.0], [0.0, np.exp(x[1])]]),
    ((np.array([2.0, 0.5]),), (np.array([-1.0, 0.0]),)),
    {
        "This is the transpose: there is a row for each output, a column for each input.": lambda x: np.array(
            [[x[1], 2 * x[0], 0.0], [x[0], -1.0, np.exp(x[1])]]
        )
    },
)

multiplications = Exercise(
    lambda m, k, n: (m * k * n + m * n * n, k * n * n + m * k * n),
    ((1, 20, 30), (50, 20, 1), (4, 5, 6)),
    {
        "The two are the wrong way round: (J3 J2) J1 comes first.": lambda m, k, n: (
            k * n * n + m * k * n, m * k * n + m * n * n
        ),
        "A product of p×q and q×r has p·r entries, and each takes q multiplications.": lambda m, k, n: (
            m * n + m * n, k * n + m * n
        ),
    },
)  # fmt: skip

entropy_hessian = Exercise(
    lambda x: -np.diag(1 / x) - 1 / (1 - np.sum(x)),
    ((np.array([0.4, 0.3, 0.2]),), (np.array([0.1, 0.6]),)),
    {
        "These are the derivatives with all probabilities free. The last one is 1 - Σx: it moves, too.":
            lambda x: -np.diag(1 / x),
        "Only the diagonal has 1/pₖ here. The last probability depends on every x, so every entry has it.":
            lambda x: -np.diag(1 / x + 1 / (1 - np.sum(x))),
        "The sign: the entropy is concave.": lambda x: np.diag(1 / x) + 1 / (1 - np.sum(x)),
    },
)  # fmt: skip

# ---------------------------------------------------------------- backpropagation

diamond = Exercise(
    lambda x: (1.0, 1.0, 4.0, 8.0 * x),
    ((1.0,), (2.5,)),
    {
        "y is used twice, by b and by out: its bar is a sum of two.": lambda x: (1.0, 1.0, 1.0, 2.0 * x),
        "y reaches out through b, and directly as well.": lambda x: (1.0, 1.0, 3.0, 6.0 * x),
        "dy/dx is 2x: y = x·x uses x twice, too.": lambda x: (1.0, 1.0, 4.0, 4.0 * x),
    },
)

_g = _normal(size=(3, 2))
pull_add = Exercise(
    lambda X, b, g: (g, g.sum(axis=0)),
    ((_normal(size=(3, 2)), _normal(size=2), _g), (_normal(size=(1, 2)), _normal(size=2), _g[:1])),
    {
        "b was added to every row. Each row sends its gradient back, and they add up.": lambda X, b, g: (
            g,
            g,
        ),
        "An addition has two operands, and a gradient for each.": lambda X, b, g: g,
        "A mean would forget how many rows there are: contributions add up.": lambda X, b, g: (
            g,
            g.mean(axis=0),
        ),
    },
)

pull_matmul = Exercise(
    lambda X, W, g: (g @ W.T, X.T @ g),
    (
        (_normal(size=(4, 3)), _normal(size=(3, 2)), _normal(size=(4, 2))),
        (np.eye(2), 2 * np.eye(2), np.ones((2, 2))),
    ),
    {
        "Swapped: X's gradient is made with W, and W's with X.": lambda X, W, g: (X.T @ g, g @ W.T),
    },
)

count_paths = Exercise(
    lambda width, depth: width**depth,
    ((2, 1), (2, 2), (5, 3), (16, 10)),
    {
        "Ways do not add up along a path: in each layer every one of them splits again.": lambda w, d: w * d,
        "Nearly: a path chooses a unit in each of the layers.": lambda w, d: w ** (d - 1),
    },
)

# ---------------------------------------------------------------- modules


def _messages(delta: Any, x: Any, W: Any) -> tuple[Any, Any]:
    return delta @ W.T, x.T @ delta


messages = Exercise(
    lambda x, W, from_left, from_right: _messages(from_left + from_right, x, W),
    ((_normal(size=(4, 3)), _normal(size=(3, 2)), _normal(size=(4, 2)), _normal(size=(4, 2))),),
    {
        "Both children depend on what this module gives: what they send adds up.": (
            lambda x, W, from_left, from_right: _messages(from_left, x, W)
        ),
        "Contributions add up. A mean would halve every gradient.": (
            lambda x, W, from_left, from_right: _messages((from_left + from_right) / 2, x, W)
        ),
        "The other way round: first what goes to the parents, then what the weights get.": (
            lambda x, W, from_left, from_right: _messages(from_left + from_right, x, W)[::-1]
        ),
    },
)

# ---------------------------------------------------------------- micrograd

neuron = Exercise(
    lambda x1, w1, x2, w2: tuple(
        float(s * (1 - np.tanh(x1 * w1 + x2 * w2) ** 2)) for s in (w1, x1, w2, x2)
    ),
    ((2.0, -0.5, -1.0, 0.3), (1.0, 0.2, 0.5, 0.4)),
    {
        "The products are right, but between them and the output there is a tanh.": lambda x1, w1, x2, w2: (
            w1, x1, w2, x2
        ),
        "A multiplication swaps: x1 gets w1, and w1 gets x1.": lambda x1, w1, x2, w2: tuple(
            s * (1 - np.tanh(x1 * w1 + x2 * w2) ** 2) for s in (x1, w1, x2, w2)
        ),
        "tanh's derivative is 1 - tanh², with the square.": lambda x1, w1, x2, w2: tuple(
            s * (1 - np.tanh(x1 * w1 + x2 * w2)) for s in (w1, x1, w2, x2)
        ),
    },
)  # fmt: skip

power = Exercise(
    lambda x, y: (y * x ** (y - 1), x**y * np.log(x)),
    ((2.0, 3.0), (0.5, -1.5)),
    {
        "The second is the derivative by the exponent: xʸ is exp(y ln x).": lambda x, y: (
            y * x ** (y - 1), y * x ** (y - 1)
        ),
        "By the exponent, the derivative of exp(y ln x) has the factor ln x.": lambda x, y: (
            y * x ** (y - 1), x**y
        ),
    },
)  # fmt: skip

stable_tanh = Exercise(
    lambda x: np.tanh(x),
    ((0.5,), (-3.0,), (800.0,), (-800.0,)),
    {
        "At ±800 an exponential overflows, and ∞/∞ is nan. Use exp(-2|x|), which cannot.": lambda x: (
            (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))
        )
    },
)

descent = Exercise(
    lambda p, g, lr: p - lr * g,
    ((1.0, 2.0, 0.1), (0.5, -4.0, 0.01)),
    {"This climbs: the gradient points to where the loss grows.": lambda p, g, lr: p + lr * g},
)

EXERCISES = {name: x for name, x in globals().items() if isinstance(x, Exercise)}
