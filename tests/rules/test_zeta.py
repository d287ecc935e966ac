"""The zeta functions high up, where the sum has as many terms as s has turns."""

from __future__ import annotations

import mpmath as mp
import numpy as np
from scipy import special as sp

import chainrule as cr


def test_high_up_among_others() -> None:
    s = np.array([2 + 3j, 2 + 50j, 3.0, 0.5 + 14.13j, -1.5 + 20j, 2 + 3e4j, 2 + 2e7j])
    value, slope = cr.jvp(sp.zeta, (s,), (np.ones(s.shape, complex),))
    assert np.isnan(slope[-1]) and not np.isnan(value[-1])  # a sum of a million terms is the longest
    for x, got in zip(s[:-1].tolist(), slope[:-1], strict=True):
        np.testing.assert_allclose(got, complex(mp.diff(mp.zeta, mp.mpc(x))), rtol=1e-11)
