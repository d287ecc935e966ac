"""micrograd's ``engine``: `Value`, which is `chainrule.Value` itself.

What code written for micrograd reads is there: ``data``, ``grad``, ``_prev``, ``_op``, ``backward()``,
``relu()``, and ``label``, ``tanh()``, ``exp()`` as in the lecture.

Importing this module sets Python's cyclic garbage collector to look only after 200,000 new objects
(``gc.set_threshold``): scalar graphs are made of very many small objects, have no cycles and are
freed as soon as nobody holds them, so that the collector finds nothing and would take most of the
time.

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

import gc

from chainrule.value import Value

__all__ = ["Value"]

if gc.get_threshold()[0]:  # 0 means never
    gc.set_threshold(max(gc.get_threshold()[0], 200_000), *gc.get_threshold()[1:])
