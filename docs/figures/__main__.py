"""Draw the documentation's figures, each from a computation that is run for it: python -m docs.figures."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

from docs.figures import graphs, network, plots

STATIC = Path(__file__).resolve().parent.parent / "_static"
FIGURES = {
    "forward-pass": network.forward_film,
    "one-gradient": network.one_gradient,
    "repeated-patterns": network.repeated_patterns,
    "primitives": graphs.primitives,
    "autodiff": graphs.adjoint_film,
    "modules": graphs.zooming_out,
    "neuron": graphs.single_neuron,
    "four-stages": graphs.four_stages,
    "boundary": plots.boundary,
    "entropy": plots.entropy,
    "steepest-descent": plots.steepest_descent,
}


def readme() -> None:
    """Draw the picture in the README by running the README's own example, where it draws it."""
    text = (STATIC.parent.parent / "README.md").read_text(encoding="utf-8")
    example = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[0]
    os.chdir(STATIC)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(example, "README.md", "exec"), {})


if __name__ == "__main__":
    folder = STATIC / "figures"
    folder.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        (folder / f"{name}.svg").write_text(str(draw()), encoding="utf-8")
    readme()
    print(f"make figures: {len(FIGURES)} figures are in {folder}")
