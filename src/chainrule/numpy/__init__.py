"""NumPy's namespace on Values: ``import chainrule.numpy as np``.

Plain ``numpy`` works on Values too, as soon as chainrule is imported: its functions are these. What is
different here is what makes arrays. ``np.zeros(3)``, ``np.asarray([1.0, 2.0])`` and their kin make Values,
so that elements of them may be assigned what is differentiated, and lists of Values are joined. The module
conforms to the Array API standard, and is what ``Value.__array_namespace__()`` gives.

**Which arrays are Values.** Floats and complex numbers are; integers and booleans are plain NumPy arrays,
because they have no derivative: they index, count and select. So ``asarray([1, 2])`` is plain, and so are
``argsort`` and ``x > 0``. Other functions give what they are given: of Values a Value, of plain arrays a
plain array. The two mix.

**What is made here is a constant.** It gets no gradient, and it may become a bare number: ``float(x)``,
``if np.all(x == x):``, ``numpy.asarray(x)``, since no derivative can be lost. The same of a tracked Value,
one that is differentiated or computed from such, is refused, which is the one thing where this namespace is
stricter than the standard. Write ``chainrule.Value(x)`` for what is differentiated.

>>> import chainrule as cr
>>> import chainrule.numpy as np
>>> def squares(x):
...     a = np.zeros(3)
...     for i in range(3):
...         a[i] = x[i] ** 2
...     return np.sum(a)
>>> cr.grad(squares)(np.asarray([1.0, 2.0, 3.0])).data
array([2., 4., 6.])
"""

from typing import Any

import numpy as _numpy

from chainrule.numpy import creation, fft, linalg, operators, protocols, standard  # noqa: F401  (they attach)

_OWN: dict[str, Any] = {**creation.HERE, **standard.HERE, "fft": fft, "linalg": linalg}

__all__ = sorted({*_numpy.__all__, *_OWN} - {"__version__"})
__array_api_version__ = _numpy.__array_api_version__

# Names of this module, rather than looked up when asked for: as quick as in NumPy, and `dir` shows them. What
# NumPy itself imports only when asked for, such as numpy.ma, is looked up.
globals().update({name: x for name, x in {**vars(_numpy), **_OWN}.items() if name in __all__})


def __getattr__(name: str) -> Any:
    return getattr(_numpy, name)
