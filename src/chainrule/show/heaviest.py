"""`explain_grad`: along which paths a gradient comes, the heaviest first, and what share each has in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.show import summary
from chainrule.show.asked import at_least_one, expect_value, seed_of
from chainrule.show.paths import Path, Paths, paths
from chainrule.show.text import aligned
from chainrule.value import Value

__all__ = ["GradientShares", "explain_grad"]


@dataclass(frozen=True)
class GradientShares:
    """The heaviest paths of a gradient; printed, a table.

    Attributes
    ----------
    paths : Paths
        Those listed, the heaviest first, with ``gradient`` and ``n_paths`` of all.
    shares : tuple of float
        Of each listed path ``⟨p, g⟩ / ⟨g, g⟩``, where p is what the path contributes and g the gradient: over
        all paths they add up to 1; a negative one works against the gradient. nan where g is 0 or not
        finite.
    """

    paths: Paths
    shares: tuple[float, ...]

    @property
    def heaviest(self) -> Path | None:
        """The path that contributes most; None where there is none."""
        return self.paths[0] if self.paths else None

    @property
    def rest(self) -> float:
        """The share of all that is not listed."""
        return 1.0 - sum(self.shares) if self.paths.not_listed else 0.0

    def __str__(self) -> str:
        found = self.paths
        if not found:
            return repr(found)
        n = "one path leads" if found.n_paths == 1 else f"{found.n_paths:,} paths lead"
        rows = [["path", "local derivatives", "contributes", "share"]]
        rows += [
            [p.label, p.symbols, summary.array(p.product), _percent(share)]
            for p, share in zip(found, self.shares, strict=True)
        ]
        if found.not_listed:
            others = found.gradient - sum(np.asarray(p.product) for p in found)
            rows.append([f"{found.not_listed:,} more", "", summary.array(others), _percent(self.rest)])
        rows.append(["the gradient", "", summary.array(found.gradient), ""])
        return "\n".join([f"{n} there; the heaviest:", *aligned(rows)])

    __repr__ = __str__


def explain_grad(
    output: Value,
    input: Value = None,  # type: ignore[assignment]  # explain_grad(f) is answered in words
    *,
    seed: Any = None,
    most: int = 5,
    names: Mapping[str, Any] | None = None,
) -> GradientShares:
    """Tell along which paths the gradient of an output in an input comes, the heaviest first.

    Every path from the input to the output contributes the product of its local derivatives; the gradient is
    their sum. `paths` lists them all and counts them; this tells the few that matter, each with its share.

    Parameters
    ----------
    output, input : Value
    seed : array_like, optional
        The cotangent of the output to begin with; 1 for a scalar. An array needs one.
    most : int
        How many paths are told.
    names : mapping from str to object, optional
        Names for nodes, looked up before the caller's own variables.

    Returns
    -------
    GradientShares

    Raises
    ------
    TypeError
        If output or input is no Value.
    ValueError
        If the output is an array and there is no seed, or one of another shape.

    Examples
    --------
    >>> from chainrule import Value
    >>> x, w = Value(2.0, name="x"), Value(3.0, name="w")
    >>> y = x * w + x
    >>> print(explain_grad(y, x, names={"y": y}))
    2 paths lead there; the heaviest:
    path          local derivatives  contributes  share
    x -> v2 -> y  w                  3            75 %
    x -> y        1                  1            25 %
    the gradient                     4
    """
    expect_value("explain_grad", "output", output)
    expect_value("explain_grad", "input", input)
    seed_of("explain_grad", output, seed)
    most = at_least_one("explain_grad", "most", most)
    found = paths(output, input, seed=seed, max_paths=most, names=names)
    g = np.asarray(found.gradient)
    with np.errstate(all="ignore"):
        whole = np.vdot(g, g).real
        shares = tuple(float(np.vdot(g, np.asarray(p.product)).real / whole) for p in found)
    return GradientShares(found, shares)


def _percent(share: float) -> str:
    return "-" if not np.isfinite(share) else f"{100 * share:.3g} %"
