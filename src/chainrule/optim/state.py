"""Values by name, as plain numbers and arrays, and back: all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.value import Value

__all__ = ["load", "numbers"]


def numbers(values: Mapping[str, Value]) -> dict[str, Any]:
    """Copies of what the Values hold: floats and arrays."""
    return {
        name: x if type(x) is float else np.array(x)
        for name, x in ((name, v._current()) for name, v in values.items())
    }


def load(owner: str, values: Mapping[str, Value], state: Mapping[str, Any]) -> None:
    """Give every Value the numbers of its name, in its own dtype, or say all that does not fit."""
    new = {name: np.asarray(x) for name, x in state.items()}
    known = [(name, new[name], v) for name, v in values.items() if name in new]
    found = {
        "missing": [name for name in values if name not in new],
        "unexpected": [name for name in new if name not in values],
        "of another shape": [
            f"{name} is {x.shape}, expected {v.shape}" for name, x, v in known if x.shape != v.shape
        ],
        "not numbers": [
            f"{name} is of dtype {x.dtype}"
            for name, x, v in known
            if x.dtype.kind not in f"fiu{v.dtype.kind}"
        ],
    }
    wrong = [f"{what}: {', '.join(names)}" for what, names in found.items() if names]
    if wrong:
        raise ValueError(
            f"{owner}.load_state_dict: the state is not that of this optimiser; {'; '.join(wrong)}; make it "
            "with the same parameters, groups and settings as the one whose state it is"
        )
    for name, v in values.items():
        v.data = new[name].astype(v.dtype)
