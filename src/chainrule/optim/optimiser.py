"""Optimiser: the base of every update rule.

A rule keeps, for each parameter, a few arrays of its own (a velocity, running means).  They are Values like
the parameters themselves, and so are the learning rates: whoever looks at what a training step reads and
writes finds parameters and optimiser state in the same form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.optim.arguments import check_settings, leaves
from chainrule.optim.state import load, numbers
from chainrule.traced import Traced
from chainrule.value import Value

__all__ = ["Group", "Optimiser"]


class Group:
    """Parameters that follow their gradients by the same numbers: ``group["lr"]``, ``group["params"]``.

    The learning rate is state, which a compiled step reads anew at each call; if another of the numbers is
    reassigned, a step is compiled anew.
    """

    def __init__(self, owner: Optimiser, parameters: list[Value], settings: dict[str, Any]) -> None:
        self.owner = owner
        self.parameters = parameters
        self.settings = dict(settings)
        self.lr = Value(self.settings.pop("lr"), name="lr")
        self.maximize = self.settings.pop("maximize")
        starts = [owner.start(_zeros(p), **self.settings) for p in parameters]
        self.state = {name: [Value(start[name]) for start in starts] for name in starts[0]}

    def _all(self) -> dict[str, Any]:
        return {"lr": self.lr._current(), **self.settings, "maximize": self.maximize}

    def __getitem__(self, name: str) -> Any:
        return self.parameters if name == "params" else self._all()[name]

    def __setitem__(self, name: str, new: Any) -> None:
        owner = type(self.owner).__name__
        if name not in self._all():
            raise KeyError(f"{owner}: a group has no number {name!r}; it has {', '.join(self._all())}")
        if not isinstance(new, Traced):  # which has no number yet to be looked at
            new = check_settings(owner, {name: new})[name]
        if name == "lr":
            self.lr.data = new
        elif name == "maximize":
            self.maximize = new
        else:
            settings = {**self.settings, name: new}
            self.owner.check(settings)
            if self.owner.start(0.0, **settings).keys() != self.state.keys():
                raise ValueError(
                    f"{owner}: {name} was {self.settings[name]}, is {new}: with it other state is kept for "
                    "each parameter; make a new optimiser"
                )
            self.settings[name] = new


class Optimiser:
    """Base of the update rules: groups of parameters, learning rates, `step`, `zero_grad`, state.

    A subclass hands its settings to ``__init__`` and writes `update`, and `start` if it keeps state.

    Parameters
    ----------
    params : iterable of Value, or of dict
        What to train, usually ``model.parameters()``.  A Value that is there twice is updated once.  Groups
        with numbers of their own are dicts, as in PyTorch: ``[{"params": weights}, {"params": biases, "lr":
        0.01, "weight_decay": 0.0}]``; what a group does not name is as in the other arguments.
    lr : float
        Learning rate, zero or more.
    maximize : bool
        True ascends: the same steps as on the negative of the loss.
    **settings
        The numbers and switches of the rule.

    Attributes
    ----------
    parameters : list of Value
        Of all groups.
    param_groups : list of Group
        ``opt.param_groups[1]["lr"]`` is the learning rate of the second group, and may be reassigned.

    Raises
    ------
    TypeError
        If params is not an iterable of leaf Values or of groups, or a number is not a number.
    ValueError
        If there are no parameters, one is in two groups, or a number is out of its range.

    Notes
    -----
    A parameter that has no gradient - no `backward` has reached it since `zero_grad`, or its module is
    frozen - stays as it is, and so does its state: its first step is a first step, whenever it comes.

    Examples
    --------
    A rule of one's own:

    >>> import numpy as np
    >>> from chainrule import Value, optim
    >>> class Sign(optim.Optimiser):
    ...     def update(self, p, g, state, *, lr):
    ...         return p - lr * np.sign(g)
    >>> p = Value(np.array([1.0, -2.0]))
    >>> opt = Sign([p], lr=0.25)
    >>> np.sum(p * p).backward()
    >>> opt.step()
    >>> p.data
    array([ 0.75, -1.75])
    """

    complex = False  # whether the rule holds for complex numbers too: not if it squares gradients

    def __init__(self, params: Iterable[Any], lr: float, maximize: bool = False, **settings: Any) -> None:
        owner = type(self).__name__
        common = check_settings(owner, {"lr": lr, **settings, "maximize": maximize})
        if isinstance(params, Iterable) and not isinstance(params, Value | Mapping):
            params = list(params)
        grouped = isinstance(params, list) and any(isinstance(g, Mapping) for g in params)
        groups: list[Any] = params if grouped else [{"params": params}]  # type: ignore[assignment]
        self.param_groups: list[Group] = []
        self._own_rates = False
        for k, group in enumerate(groups):
            where = f"params[{k}]"
            if not isinstance(group, Mapping) or "params" not in group:
                raise TypeError(
                    f"{owner}: {where} is {_brief(group)}; expected a group, as the others: "
                    '{"params": [...], "lr": ...}'
                )
            if unknown := [name for name in group if name != "params" and name not in common]:
                raise ValueError(
                    f"{owner}: {where} names {', '.join(map(repr, unknown))}; expected params and some of "
                    f"{', '.join(common)}"
                )
            own = check_settings(owner, {name: group[name] for name in group if name != "params"}, where)
            self.check(settings := {**common, **own})
            label = f"{where}['params']" if grouped else "params"
            parameters = leaves(owner, group["params"], label, self.complex)
            if twice := set(map(id, parameters)) & set(map(id, self.parameters)):
                raise ValueError(
                    f"{owner}: {len(twice)} of the Values of {where} are in a group before it; a Value "
                    "belongs to one group: take it out of the other"
                )
            self.param_groups.append(Group(self, parameters, settings))
            self._own_rates |= "lr" in own

    @property
    def parameters(self) -> list[Value]:
        return [p for group in self.param_groups for p in group.parameters]

    @property
    def lr(self) -> float:
        """Learning rate of the next step (of the first group), which a compiled step reads at each call.

        May be reassigned, also within a compiled step, and is then that of all groups.  If groups were given
        rates of their own this is refused, as it would make them equal.
        """
        return self.param_groups[0].lr._current()  # type: ignore[no-any-return]

    @lr.setter
    def lr(self, lr: float) -> None:
        if self._own_rates:
            raise ValueError(
                f"{type(self).__name__}: lr is assigned, and the groups have learning rates of their own; "
                'assign opt.param_groups[i]["lr"], or let a schedule change all of them'
            )
        for group in self.param_groups:
            group["lr"] = lr

    def step(self) -> None:
        """Move every parameter that has a gradient once, against it, or along it with ``maximize``."""
        for group in self.param_groups:
            settings = {"lr": group.lr._current(), **group.settings}
            for i, parameter in enumerate(group.parameters):
                g = parameter._gradient
                if g is None or parameter.params:  # nothing to follow, or frozen
                    continue
                state = {name: values[i]._current() for name, values in group.state.items()}
                p = self.update(parameter._current(), -g if group.maximize else g, state, **settings)
                parameter._adopt(_as(parameter, p) if isinstance(p, np.generic) else p)
                for name, new in state.items():
                    v = group.state[name][i]
                    v._adopt(_as(v, new) if isinstance(new, np.generic) else new)

    # Any arguments, as far as types go: each rule names its own settings.

    def start(self, zeros: Any, *_: Any, **settings: Any) -> dict[str, Any]:
        """What is kept for a parameter before its first step, by name; `zeros` have its shape and dtype."""
        return {}

    def update(self, p: Any, g: Any, state: dict[str, Any], *_: Any, **settings: Any) -> Any:
        """The parameter after a step; its new state is left in `state`, and no array is changed in place.

        Parameters
        ----------
        p, g : float or array
            The parameter and its gradient, of the same shape and dtype.
        state : dict
            What `start` named, as it is now.
        **settings
            ``lr``, and the other numbers of the group.
        """
        raise NotImplementedError(f"{type(self).__name__}: update is not defined")

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise ValueError for settings of a group that do not go together."""

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next `backward` starts from none instead of adding to them."""
        for group in self.param_groups:
            for parameter in group.parameters:
                parameter.grad = None

    # ---------------------------------------------------------------- state

    def _named_state(self) -> dict[str, Value]:
        found = {f"lr.{k}": group.lr for k, group in enumerate(self.param_groups)}
        before = 0
        for group in self.param_groups:
            for name, values in group.state.items():
                found |= {f"{name}.{i}": v for i, v in enumerate(values, before)}
            before += len(group.parameters)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that steps and schedules change: floats and arrays by name and number.

        The number is that of the parameter, counted through the groups, or of the group for ``lr``.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import Value, optim
        >>> opt = optim.Adam([Value(1.0), Value(np.ones(2))])
        >>> list(opt.state_dict())
        ['lr.0', 'mean.0', 'mean.1', 'square.0', 'square.1', 'step.0', 'step.1']
        """
        return numbers(self._named_state())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken, bit for bit if the parameters too are what they were then.

        Raises
        ------
        ValueError
            If names are missing, unexpected or have other shapes: all of these are listed, and nothing has
            changed.
        """
        load(type(self).__name__, self._named_state(), state)

    def __repr__(self) -> str:
        shown = []
        for name, first in self.param_groups[0]._all().items():
            values = [group[name] for group in self.param_groups]
            if any(values):
                shown.append(f"{name}={first if len(set(values)) == 1 else values}")
        size = sum(p.size for p in self.parameters)
        return f"{type(self).__name__}({len(self.parameters)} Values, {size:,} numbers, {', '.join(shown)})"


def _zeros(p: Value) -> Any:
    return np.zeros(p.shape, p.dtype) if type(p._raw) is np.ndarray else p.dtype.type(0.0)


def _as(v: Value, new: np.generic) -> Any:
    """NumPy's number as what the Value held: NumPy makes one of Python's, and of an array without axes."""
    if type(v._raw) is np.ndarray:
        return np.asarray(new)
    return new if isinstance(v._raw, np.generic) else float(new)


def _brief(x: Any) -> str:
    return f"a dict of {', '.join(map(repr, x))}" if isinstance(x, Mapping) else f"a {type(x).__name__}"
