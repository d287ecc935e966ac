"""micrograd's ``engine``: `Value`, which is `chainrule.Value` itself.

What code written for micrograd reads is there: ``data``, ``grad``, ``_prev``, ``_op``, ``backward()``,
``relu()``, and ``label``, ``tanh()``, ``exp()`` as in the lecture.

Examples
--------
>>> a, b = Value(-4.0), Value(2.0)
>>> c = (a + b).relu() + a * b
>>> c.backward()
>>> c.data, a.grad, b.grad
(-8.0, 2.0, -4.0)
>>> c._op, sorted(v.data for v in c._prev)
('+', [-8.0, 0.0])
"""

from chainrule.value import Value

__all__ = ["Value"]
