"""The page of functions, written from the library's own tables when the documentation is built.

What it says of a function is tried out on an expression of the tests' table: so it cannot drift. A function
without an expression there is an error.
"""

import ast
import warnings

import numpy as np
import optree
import scipy.special

import chainrule as cr
from chainrule.numpy import protocols
from chainrule.rules import special
from chainrule.scipy import interpolate, linalg, signal, stats
from chainrule.scipy import special as special_functions
from tests.numpy import table

HIPS = 207

# Of what SciPy writes in Python, how it is called; the samples are those of tests/numpy/table.py.
_S = "np.eye(3) * 2 + Q @ Q.T"  # symmetric, positive definite
PYTHON = {
    "linalg": {
        "block_diag": "SL.block_diag(Q, x)", "cho_factor": f"SL.cho_factor({_S})[0]",
        "cho_solve": f"SL.cho_solve(SL.cho_factor({_S}), v)", "cholesky": f"SL.cholesky({_S})",
        "det": "SL.det(Q)", "eig": "SL.eig(M)[0] + 0j", "eigh": f"SL.eigh({_S})",
        "eigvals": "SL.eigvals(M) + 0j", "eigvalsh": f"SL.eigvalsh({_S})", "expm": "SL.expm(Q * 0.1)",
        "inv": f"SL.inv({_S})", "logm": f"SL.logm({_S})", "lstsq": "SL.lstsq(A.T, d @ A)[0]",
        "lu": f"SL.lu({_S})[1:]",
        "lu_factor": f"SL.lu_factor({_S})[0]", "lu_solve": f"SL.lu_solve(SL.lu_factor({_S}), v)",
        "norm": "SL.norm(Q)", "pinv": "SL.pinv(A)", "qr": f"SL.qr({_S})", "solve": f"SL.solve({_S}, v)",
        "solve_banded": "SL.solve_banded((1, 1), A[:, :3] + 9 * np.array([[0], [1], [0]]), v)",
        "solve_continuous_lyapunov": f"SL.solve_continuous_lyapunov({_S}, Q)",
        "solve_sylvester": f"SL.solve_sylvester({_S}, {_S}, Q)",
        "solve_triangular": f"SL.solve_triangular({_S}, v)", "sqrtm": f"SL.sqrtm({_S})",
        "svd": "SL.svd(x)[1]", "svdvals": "SL.svdvals(x)", "toeplitz": "SL.toeplitz(v, w)",
    },
    "signal": {name: f"SG.{name}(v, w)" for name in signal.__all__},
    "interpolate": {
        "CubicHermiteSpline": "SI.CubicHermiteSpline(n, v, w)(1.3)",
        "CubicSpline": "SI.CubicSpline(n, v)(1.3)",
        "PPoly": "SI.PPoly(x, n)(1.3)", "PchipInterpolator": "SI.PchipInterpolator(n, v)(1.3)",
    },
}  # fmt: skip
table.CONSTANTS |= {"SL": linalg, "SG": signal, "SI": interpolate}

_ROWS = {**table.UFUNCS, **table.METHODS, **table.FUNCTIONS}
_HOMES = {  # what the tests' expressions call them
    "S": ["scipy.special", "chainrule.scipy.special"], "T": ["chainrule.scipy.stats"],
    "SL": ["chainrule.scipy.linalg"], "SG": ["chainrule.scipy.signal"],
    "SI": ["chainrule.scipy.interpolate"],
}  # fmt: skip
_ORDERS = 3


def numpy_name(f):
    """``np.linalg.norm``, ``np.sum``."""
    module = f.__module__.replace("lib.scimath", "emath")
    if not module.startswith(("numpy.linalg", "numpy.fft", "numpy.emath", "numpy.polynomial")):
        module = "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{f.__name__}"


def covered():
    """Sections of (name, expressions)."""

    def of(key, name):
        if key not in _ROWS:
            raise LookupError(f"{name} has no row in tests/numpy/table.py")
        return name, _ROWS[key]

    ufuncs = [of(name, f"np.{name}") for name in protocols.UFUNCS if hasattr(np, name)]
    functions = {"np.linalg.": [], "np.fft.": [], "np.": []}
    for f in protocols.FUNCTIONS:
        name = numpy_name(f)
        key = name.removeprefix("np.").removeprefix("polynomial.")
        functions[next(g for g in functions if name.startswith(g))].append(of(key, name))
    sp = [
        of(f"special.{f.__name__}", f"scipy.special.{f.__name__}")
        for f in special.CALLS
        if not f.__name__.startswith("_")
    ]
    known = {name for name, _ in sp}
    python = []
    for name in special_functions.__all__:
        if f"scipy.special.{name}" not in known and not hasattr(getattr(special_functions, name), "nin"):
            rows = [e for e in _ROWS["S"] if e.startswith(f"S.{name}(")]
            rows = rows or [f"S.{name}(p)" if name != "jn" else "S.jn(2, p)"]
            python.append((f"chainrule.scipy.special.{name}", rows))
    distributions = []
    for name in stats.__all__:
        rows = [e for e in _ROWS["T"] if e.startswith((f"T.{name}.", f"T.{name}("))]
        rows = rows or ["T.multivariate_normal.logpdf(x, v, np.eye(3) * 2)"]
        distributions.append((f"chainrule.scipy.stats.{name}", rows))
    rest = [
        (f"chainrule.scipy.{part}.{name}", [PYTHON[part][name]])
        for part, module in (("linalg", linalg), ("signal", signal), ("interpolate", interpolate))
        for name in module.__all__
    ]
    return {
        "Universal functions": ufuncs,
        "Functions": functions["np."],
        "Linear algebra": functions["np.linalg."],
        "Transforms": functions["np.fft."],
        "Universal functions of `scipy.special`": sp,
        "Functions that SciPy writes in Python": python + distributions + rest,
    }


def count():
    """How many functions of NumPy and SciPy have derivatives: what the page, the tests and the README say."""
    return sum(map(len, covered().values()))


# ------------------------------------------------------------------ what a function can do, tried out


def ones(tree):
    return optree.tree_map(lambda x: np.ones_like(cr.data(x))[()] if np.ndim(cr.data(x)) else 1.0, tree)


def pulled(f):
    def back(*xs):
        y, pull = cr.vjp(f, *xs)
        return pull(ones(y))

    return back


def pushed(f):
    return lambda *xs: cr.jvp(f, xs, ones(xs))[1]


def orders(f, point, derivative):
    """To which order a mode works, up to three: rules are made of functions that have rules."""
    steady = False
    for order in range(1, _ORDERS + 1):
        f = derivative(f)
        try:
            out = f(*point)
        except (TypeError, NotImplementedError):
            return order - 1, steady
        if order == 1:
            steady = all(not np.any(cr.data(x)) for x in optree.tree_leaves(out))
    return _ORDERS, steady


def tried(expressions, given):
    """Orders in reverse and forward mode, whether it takes complex numbers, and what there is to note."""
    f, point = table.function(expressions[0])
    (back, steady), (ahead, _) = orders(f, point, pulled), orders(f, point, pushed)
    notes = ["derivative 0 wherever there is one"] if steady else []
    if given:
        notes.append(f"tried with {', '.join(f'`{k}=`' for k in sorted(given))}")
    found = {complex_numbers(*table.function(e)) for e in expressions}
    return back, ahead, next(x for x in ("yes", "no", "–") if x in found), "; ".join(notes)


def keywords():
    """By the function's name the keyword arguments with which the tests' expressions call it."""
    found = {}
    for expression in {e for expressions in _ROWS.values() for e in expressions}:
        for call in ast.walk(ast.parse(expression)):
            if isinstance(call, ast.Call):
                short, _, rest = ast.unparse(call.func).partition(".")
                for home in _HOMES.get(short, [short]):
                    name = f"{home}.{rest.partition('.')[0] if short == 'T' else rest}"
                    found.setdefault(name, set()).update(k.arg for k in call.keywords if k.arg)
    return found


def complex_numbers(f, point):
    """``yes``; ``no`` where there is no derivative; a dash where NumPy or SciPy refuses them itself."""
    point = [x if np.iscomplexobj(x) else np.asarray(x) * (1 + 0.125j) for x in point]
    try:
        f(*point)
    except Exception:  # whatever the function says to such numbers
        return "–"
    try:
        pulled(f)(*point)
    except (TypeError, ValueError):
        return "no"
    return "yes"


# ------------------------------------------------------------------ what has no derivative


def plain():
    return sorted(
        {f"np.{name}" for name in protocols.PLAIN_UFUNCS} | {numpy_name(f) for f in protocols.PLAIN_FUNCTIONS}
    )


def refused():
    """Functions that look at their arguments and refuse Values by name, with what to do instead."""
    found = {}
    for prefix, module in (("np.", np), ("np.linalg.", np.linalg), ("np.fft.", np.fft),
                           ("scipy.special.", scipy.special)):  # fmt: skip
        for name in dir(module):
            f = getattr(module, name)
            if name.startswith("_") or not callable(f) or f in {**protocols.FUNCTIONS, **special.CALLS}:
                continue
            if f in protocols.PLAIN_FUNCTIONS | protocols.MADE:
                continue
            ufunc = isinstance(f, np.ufunc) and f.__name__ not in {*protocols.UFUNCS, *protocols.PLAIN_UFUNCS}
            if ufunc or hasattr(f, "_implementation"):
                said = str(protocols.no_derivative(f.__name__))
                found[prefix + name] = said.partition("instead: ")[2].partition("; or, if none")[0]
    return found


# ------------------------------------------------------------------ the page


HEAD = """\
**{count} functions of NumPy and SciPy have derivatives**, each in reverse and in forward mode. HIPS autograd,
which differentiates NumPy in the same manner, has {hips} (as this library counted them when it set out; the
tables of its version 1.9.1 hold 216 rules for reverse and 127 for forward mode, internal steps among them).

This page is written from the library's tables when the documentation is built, and what it says was tried
out then, on expressions of the tests. *Any* order means that the third was tried: rules are made of functions
that have rules. Complex: *yes*, with a derivative; *no*, refused; a dash where NumPy or SciPy takes no
complex numbers. The notes name the keyword arguments that the tests differentiate with; universal functions
take `out=`, `where=` and `dtype=` alike. [Conventions](conventions.md) tells what holds at kinks and ties.
"""


def page():
    """The page, in Markdown."""
    warnings.simplefilter("ignore")
    sections, given = covered(), keywords()
    lines = ["# Functions", "", HEAD.format(count=count(), hips=HIPS)]
    with np.errstate(all="ignore"):
        for title, functions in sections.items():
            lines += [f"## {title}", "", f"{len(functions)} functions.", ""]
            lines += ["| function | modes | orders | complex | notes |", "|---|---|---|---|---|"]
            for name, expressions in sorted(functions):
                back, ahead, complexes, note = tried(expressions, given.get(name, ()))
                modes = "both" if back and ahead else "reverse" if back else "forward" if ahead else "none"
                order = min(back, ahead) or max(back, ahead)
                shown = "any" if order == _ORDERS else str(order)
                lines.append(f"| `{name}` | {modes} | {shown} | {complexes} | {note} |")
            lines.append("")
    lines += ["## Methods of universal functions", ""]
    quick = ", ".join(f"`np.{ufunc}.{method}`" for ufunc, method in protocols.METHODS)
    lines += ["`reduce`, `accumulate`, `reduceat`, `outer` and `at` of all that make one number of two, and "]
    lines += ["`at` of those that make one of one. One operation each are the running extremes, as "]
    lines += [f"`np.maximum.accumulate`, and {quick}; the others are made of calls of the function.", ""]
    made = ", ".join(sorted(f"`{numpy_name(f)}`" for f in protocols.MADE))
    lines += ["## Arrays made like a Value", ""]
    lines += [f"{made}, of a Value or with `like=`, are Values: their elements may be assigned. They get no "]
    lines += ["gradient, and may become plain arrays.", ""]
    lines += ["## Answers without a derivative", ""]
    lines += ["Of a Value these give plain booleans, integers and arrays: "]
    lines += [", ".join(f"`{name}`" for name in plain()) + ".", ""]
    remedies = refused()
    general = protocols.no_derivative("").args[0].partition("instead: ")[2].partition(";")[0]
    lines += ["## Refused", "", "These fail when they are called, and name what to do instead.", ""]
    lines += ["| function | instead |", "|---|---|"]
    lines += [f"| `{name}` | {x} |" for name, x in sorted(remedies.items()) if x != general]
    others = ", ".join(f"`{name}`" for name, x in sorted(remedies.items()) if x == general)
    own = "{func}`~chainrule.primitive`"
    lines += ["", f"These too; a primitive of your own, {own}, gives one a derivative: {others}."]
    return "\n".join([*lines, ""])

