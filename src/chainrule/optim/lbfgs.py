"""L-BFGS: SciPy's quasi-Newton method on the parameters of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.optim.arguments import check_number, check_settings, leaves
from chainrule.optim.state import load
from chainrule.traced import TracedError, current_trace, where_in_user_code
from chainrule.value import Value, data

__all__ = ["LBFGS"]


class LBFGS:
    """L-BFGS: steps along -H ∇L, with H, about the inverse of the Hessian, from the last gradients.

    For a loss without noise, which is that of the whole of the data, and without dropout.  Where it fits it
    needs tens of evaluations for what takes `Adam` thousands.

    Parameters
    ----------
    params : iterable of Value
        What to train; a Value that is there twice is one.
    max_iter : int
        Iterations of one `step`, each of about one evaluation of the closure.
    max_eval : int, optional
        Evaluations after which no iteration begins; without it 1.25 times max_iter.
    tolerance_grad : float
        Ends a step when no component of the gradient is larger.
    tolerance_change : float
        Ends a step when the loss L falls by less than this times ``max(|L|, 1)``.
    history_size : int
        Pairs of steps and gradients that make up H.
    maximize : bool
        Ascends instead.

    Attributes
    ----------
    parameters : list of Value
    result : scipy.optimize.OptimizeResult or None
        Of the last step: ``nit``, ``nfev``, ``success``, ``message``.

    Raises
    ------
    ImportError
        Without SciPy: ``pip install 'chainrule[compile]'``.
    TypeError, ValueError
        If params are no leaf Values, or a number is none or out of its range.

    Notes
    -----
    `scipy.optimize.minimize` does the work, with its method L-BFGS-B and its line search (strong Wolfe
    conditions), in double precision whatever the parameters are.  Arguments are named as in PyTorch; H is
    forgotten between steps, so give one step many iterations rather than many steps one.  Parameters without
    a gradient stay.  Source: Zhu, Byrd, Lu, Nocedal, "Algorithm 778: L-BFGS-B", 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, optim
    >>> p = Value(np.array([-1.2, 1.0]))
    >>> def closure():
    ...     loss = (1.0 - p[0]) ** 2 + 100.0 * (p[1] - p[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> opt = optim.LBFGS([p], max_iter=100)
    >>> round(opt.step(closure), 6)
    24.2
    >>> np.round(p.data, 4)
    array([1., 1.])
    """

    __slots__ = ("__dict__", "result")  # in no dictionary: a compiled closure that names it is not made anew

    def __init__(
        self,
        params: Iterable[Value],
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        *,
        maximize: bool = False,
    ) -> None:
        self.parameters = leaves("LBFGS", params)
        max_iter = _count("max_iter", max_iter)
        self.options = {
            "maxiter": max_iter,
            "maxfun": max_iter * 5 // 4 if max_eval is None else _count("max_eval", max_eval),
            "gtol": _tolerance("tolerance_grad", tolerance_grad),
            "ftol": _tolerance("tolerance_change", tolerance_change),
            "maxcor": _count("history_size", history_size),
        }
        self.maximize = check_settings("LBFGS", {"maximize": maximize})["maximize"]
        self.result: Any = None

    def step(self, closure: Callable[[], Any]) -> float:
        """Minimise for up to ``max_iter`` iterations.

        Parameters
        ----------
        closure : callable
            Computes the loss, calls its `backward` and returns it; may be compiled.  Gradients are forgotten
            before each call.

        Returns
        -------
        float
            The loss before the step, as in PyTorch.

        Raises
        ------
        TypeError, ValueError
            If closure cannot be called, returns no number, or leaves no gradients.  After an error of any
            kind the parameters are what they were.
        """
        if current_trace() is not None:
            raise TracedError(
                f"{where_in_user_code()}: LBFGS.step in a compiled function: SciPy asks for numbers; compile "
                "the closure instead"
            )
        if not callable(closure):
            raise TypeError(
                f"LBFGS.step: closure is a {type(closure).__name__}; expected a function that computes the "
                "loss, calls its backward() and returns it"
            )
        minimize = _scipy()
        sign = -1.0 if self.maximize else 1.0
        start = [p._current() for p in self.parameters]
        losses: list[float] = []

        def evaluate(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            self._unpack(x)
            self.zero_grad()
            losses.append(_number(closure()))
            gradients = [p._gradient for p in self.parameters]
            if all(g is None for g in gradients):
                raise ValueError(
                    "LBFGS.step: closure left no gradient in any parameter; call loss.backward() in it"
                )
            g = _pack([np.zeros(p.shape) if g is None else g for p, g in zip(self.parameters, gradients)])
            return sign * losses[-1], sign * g

        try:
            self.result = minimize(
                evaluate, _pack(start), jac=True, method="L-BFGS-B", options=dict(self.options)
            )
            self._unpack(self.result.x)
        except BaseException:
            for p, x in zip(self.parameters, start):
                p._adopt(x)
            raise
        return losses[0]

    def _unpack(self, x: NDArray[np.float64]) -> None:
        before = 0
        for p in self.parameters:
            part = x[before : before + p.size]
            before += p.size
            if type(p._raw) is np.ndarray:
                p._adopt(part.reshape(p.shape).astype(p.dtype))
            else:
                p._adopt(p.dtype.type(part[0]) if isinstance(p._raw, np.generic) else float(part[0]))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Nothing: what goes on from one step to the next are the parameters."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing, or an error if there is something."""
        load("LBFGS", {}, state)

    def __repr__(self) -> str:
        size = sum(p.size for p in self.parameters)
        return f"LBFGS({len(self.parameters)} Values, {size:,} numbers, max_iter={self.options['maxiter']})"


def _pack(arrays: list[Any]) -> NDArray[np.float64]:
    return np.concatenate([np.ravel(x).astype(np.float64) for x in arrays])


def _number(loss: Any) -> float:
    x = data(loss)
    if not isinstance(x, int | float | np.ndarray | np.generic) or np.size(x) != 1:
        shape = f" of shape {x.shape}" if isinstance(x, np.ndarray) else ""
        raise TypeError(
            f"LBFGS.step: closure returned a {type(x).__name__}{shape}; expected the loss, one number"
        )
    return float(np.asarray(x).item())


def _count(name: str, x: Any) -> int:
    if isinstance(x, bool) or not isinstance(x, int | np.integer):
        raise TypeError(f"LBFGS: {name} is {x!r}; expected an integer from 1")
    if x < 1:
        raise ValueError(f"LBFGS: {name} is {x}; expected at least 1")
    return int(x)


def _tolerance(name: str, x: Any) -> float:
    return check_number("LBFGS", name, x, "zero or more", lambda x: x >= 0)


def _scipy() -> Any:
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise ImportError(
            "LBFGS: SciPy is not installed; install what it needs: pip install 'chainrule[compile]'"
        ) from error
    return minimize
