"""SciPy's functions of any namespace, which it has when SCIPY_ARRAY_API is set before it is imported."""

import os
import subprocess
import sys

import pytest

CALLS = """
scipy.special.logsumexp(x) scipy.special.softmax(x)[0] scipy.stats.skew(x) scipy.stats.gmean(x)
scipy.integrate.trapezoid(x,dx=0.5) scipy.optimize.rosen(x) xp.sum(scipy.signal.fftconvolve(x,x)**2)
xp.sum(scipy.spatial.transform.Rotation.from_rotvec(x[:3]).as_matrix()**3)
scipy.stats.moment(x*xp.arange(5.0),3)
""".split()  # fmt: skip

PROGRAM = """
import sys, numpy as np, chainrule as cr, chainrule.numpy as xp
import scipy.integrate, scipy.optimize, scipy.signal, scipy.spatial.transform, scipy.special, scipy.stats
for call in sys.argv[1:]:
    f = eval(f"lambda x: {call}")
    x = np.array([0.5, 1.5, 2.5, 3.0, 0.1])
    t = np.array([0.3, -0.7, 0.2, 1.1, 0.6])
    h = 1e-4 * t
    f1, f2, f3, f4 = (np.asarray(cr.data(f(xp.asarray(x + k * h)))) for k in (-2, -1, 1, 2))
    slope = (f1 - 8 * f2 + 8 * f3 - f4) / 12e-4
    assert np.isclose(np.sum(cr.data(cr.grad(f)(x)) * t), slope, rtol=1e-7), call
"""


@pytest.mark.filterwarnings("ignore")
def test_scipy_differentiates():
    variables = {**os.environ, "SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM, *CALLS], env=variables, check=True)
