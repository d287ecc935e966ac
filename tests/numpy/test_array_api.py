"""`chainrule.numpy` beside array-api-strict, the standard's reference, over its whole list of functions."""

import inspect
import itertools
import os
import warnings

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import array_api

import chainrule as cr
import chainrule.numpy as xp

VERSION = "2024.12"
REAL = "float32", "float64"
INEXACT = *REAL, "complex64", "complex128"
INTEGER = "int8", "int64", "uint8", "uint64"
if os.environ.get("ARRAY_API_DTYPES") == "all":
    INTEGER += "int16", "int32", "uint16", "uint32"
ALL = "bool", *INTEGER, *INEXACT
SHAPES = (), (3,), (2, 3), (3, 3), (2, 2, 3), (0,), (2, 0)

# Calls with a as an array of each of the dtypes and shapes, and b as another; where the standard refuses the
# dtype, or the operation the shape, nothing is compared.
CALLS = """
abs(a) acos(a) acosh(a) asin(a) asinh(a) atan(a) atanh(a) ceil(a) conj(a) cos(a) cosh(a) exp(a) expm1(a)
floor(a) imag(a) isfinite(a) isinf(a) isnan(a) log(a) log10(a) log1p(a) log2(a) logical_not(a) negative(a)
positive(a) real(a) reciprocal(a) round(a) sign(a) signbit(a) sin(a) sinh(a) square(a) sqrt(a) tan(a) tanh(a)
trunc(a) bitwise_invert(a) add(a,b) atan2(a,b) bitwise_and(a,b) bitwise_left_shift(a,b) bitwise_or(a,b)
bitwise_right_shift(a,b) bitwise_xor(a,b) copysign(a,b) divide(a,b) equal(a,b) floor_divide(a,b) greater(a,b)
greater_equal(a,b) hypot(a,b) less(a,b) less_equal(a,b) logaddexp(a,b) logical_and(a,b) logical_or(a,b)
logical_xor(a,b) maximum(a,b) minimum(a,b) multiply(a,b) nextafter(a,b) not_equal(a,b) pow(a,b) remainder(a,b)
subtract(a,b) add(a,2) multiply(2,a) maximum(a,1) where(a==b,a,1) clip(a,0,1) clip(a,min=b) clip(a,max=1)
clip(a) clip(a,max=None,min=b) clip(a,b[...,None]) clip(a,min=astype(b,xp.float64))
asarray(a) asarray(a,copy=True) asarray(a,dtype=xp.float64) arange(3) arange(1,4,dtype=xp.float32)
arange(0.5,3.0,0.5) empty_like(a).shape empty((2,3)).shape eye(2) eye(2,3,k=1,dtype=xp.float32) full((2,),2.5)
full((2,),True) full(3,2) full_like(a,1) linspace(0,1,5) linspace(0,1,num=4,endpoint=False,dtype=xp.float32)
ones((2,)) ones_like(a) ones_like(a,dtype=xp.int64) zeros(3,dtype=xp.complex64) zeros_like(a) tril(a)
triu(a,k=1) from_dlpack(a) *meshgrid(a,a) *meshgrid(a,b,indexing="ij") astype(a,xp.float64) astype(a,xp.int64)
astype(a,xp.bool) astype(a,xp.complex128) astype(a,a.dtype,copy=False) *broadcast_arrays(a,b)
broadcast_to(a,(2,)+a.shape) can_cast(a,xp.int8) can_cast(xp.float32,xp.complex128) finfo(a).eps
finfo(a.dtype).max iinfo(a).max iinfo(a.dtype).min isdtype(a.dtype,("real~floating","bool"))
isdtype(a.dtype,("integral","bool")) result_type(a,b) result_type(a,xp.int8) result_type(a,1.0)
take(a,i,axis=0) take(a,i) take_along_axis(a,argsort(a,axis=0),axis=0)
take_along_axis(a,argsort(a)) argsort(a)
argsort(a,axis=0,descending=True) sort(a) sort(a,axis=0,descending=True) sort(a,stable=True)
sort(a,stable=False) argsort(a,stable=True,descending=False) argmax(a)
argmax(a,axis=0,keepdims=True) argmin(a) argmin(a,axis=-1) count_nonzero(a)
count_nonzero(a,axis=0,keepdims=True) *nonzero(a) searchsorted(sort(flat(a)),flat(a),side="right")
searchsorted(a,b) *unique_all(a) *unique_counts(a) *unique_inverse(a) sort(unique_values(a)) all(a)
any(a,axis=0) all(a,axis=(),keepdims=True) any(a,axis=-1,keepdims=True) diff(a) diff(a,axis=0,n=2)
diff(a,prepend=a) diff(a,append=a)
diff(a,prepend=None,append=None) sum(a) sum(a,axis=0) sum(a,axis=-1,keepdims=True) sum(a,dtype=xp.float64)
sum(a,axis=()) prod(a) prod(a,axis=0,dtype=xp.float64) prod(a,keepdims=True) max(a) max(a,axis=0)
max(a,axis=(0,),keepdims=True) min(a) min(a,axis=-1) mean(a) mean(a,axis=0,keepdims=True) std(a)
std(a,axis=0,correction=1) var(a) var(a,axis=-1,correction=0.5,keepdims=True) cumulative_sum(a,axis=0)
cumulative_sum(a,axis=-1,include_initial=True) cumulative_prod(a,axis=0,dtype=xp.float64)
cumulative_prod(a,axis=-1,include_initial=True) concat([a,b]) concat((a,b),axis=-1) concat([a,a],axis=None)
stack([a,b]) stack((a,b),axis=-1) *unstack(a) *unstack(a,axis=-1) expand_dims(a,axis=-1)
squeeze(a[None,...],axis=0) flip(a) flip(a,axis=0) moveaxis(a,0,-1) permute_dims(a,tuple(range(a.ndim))[::-1])
repeat(a,2) repeat(a,2,axis=0) repeat(a,j,axis=0)
repeat(a,i[:1],axis=-1) reshape(a,(-1,)) reshape(a,(1,)+a.shape,copy=True) roll(a,1)
roll(a,(1,),axis=(0,)) tile(a,(2,)) tile(a,(2,1,1)) matmul(a,b) matmul(matrix_transpose(a),a)
matrix_transpose(a) tensordot(a,b,axes=0) tensordot(a,b,axes=1) tensordot(a,b,axes=((0,),(0,))) vecdot(a,b)
vecdot(a,b,axis=-1) linalg.cholesky(spd(a)) linalg.cholesky(spd(a),upper=True) linalg.cross(a,b)
linalg.cross(a,b,axis=-1) linalg.det(a) linalg.diagonal(a) linalg.diagonal(a,offset=1)
linalg.eigh(spd(a)).eigenvalues linalg.eigvalsh(spd(a)) linalg.inv(spd(a)) linalg.matmul(a,b)
linalg.matrix_norm(a) linalg.matrix_norm(a,ord="nuc") linalg.matrix_norm(a,ord=2,keepdims=True)
linalg.matrix_norm(a,ord=-1) linalg.matrix_power(a,2) linalg.matrix_power(spd(a),-1) linalg.matrix_rank(a)
linalg.matrix_transpose(a) linalg.outer(flat(a),flat(b)) linalg.pinv(a) linalg.pinv(a,rtol=0.1) *linalg.qr(a)
linalg.qr(a,mode="complete").R.shape linalg.slogdet(spd(a)).logabsdet *linalg.slogdet(a)
linalg.solve(spd(a),a) linalg.svd(a,full_matrices=False).S linalg.svdvals(a) linalg.tensordot(a,b,axes=1)
linalg.trace(a) linalg.trace(a,offset=1,dtype=xp.float64) linalg.vecdot(a,b) linalg.vector_norm(a)
linalg.vector_norm(a,axis=0,ord=1) linalg.vector_norm(a,ord=0)
linalg.vector_norm(a,keepdims=True,ord=float("inf")) fft.fft(a)
fft.fft(a,n=4,norm="ortho") fft.ifft(a,axis=0) fft.fftn(a) fft.fftn(a,s=(2,),axes=(0,))
fft.ifftn(a,norm="forward") fft.rfft(a) fft.rfft(a,n=5,axis=0) fft.irfft(a) fft.irfft(a,n=5) fft.rfftn(a)
fft.irfftn(a) fft.hfft(a) fft.hfft(a,n=5) fft.ihfft(a) fft.fftfreq(5) fft.fftfreq(4,d=0.5,dtype=xp.float32)
fft.rfftfreq(5) fft.fftshift(a) fft.ifftshift(a,axes=(0,)) e pi inf nan a.T a.mT a.dtype==xp.float32 a.ndim
a.shape a.size -a abs(a) +a a+b a-b a*b a/b a//b a%b a**2 a@b 2.0-a a==b a!=b a<b a<=b a>b a>=b a[0] a[...,0]
a[-1,None] a[::-1] a[a==b] a[i] a[...] bool(all(a==a)) float(sum(a)) int(max(a)) complex(sum(a))
""".split()  # fmt: skip

# What differs from the standard, by call, and why. Each is expected to fail: once it does not, it must go.
DIFFERENT = {
    "can_cast(a,xp.int8)": "NumPy casts booleans to integers, which the standard leaves open",
    "clip(a,min=astype(b,xp.float64))": "NumPy promotes with bounds of another dtype; the standard does not",
    "*linalg.slogdet(a)": "the sign of a real determinant has no derivative, and is plain",
    "linalg.vector_norm(a,ord=0)": "how many are not zero has no derivative, and is plain",
}


def names(namespace):
    """Without what is not of the standard, or of its next version."""
    others = {"Device", "broadcast_shapes", "isin"}
    return {n for n in namespace.__all__ if n[0] != "_" and "flags" not in n.lower()} - others


@pytest.fixture(scope="module", autouse=True)
def standard():
    with strict.ArrayAPIStrictFlags(api_version=VERSION):
        yield


def environment(xp, a, b):
    spaces = {n: getattr(xp, n) for n in names(strict)}
    array = lambda x: xp.asarray(x, copy=True)
    spaces |= dict(
        xp=xp, a=array(a), b=array(b), i=array(np.array([0, 1, 0])),
        j=array(np.arange(len(a) if a.ndim else 0)),
        bool=bool, complex=complex, float=float, int=int, range=range, tuple=tuple,
        flat=lambda x: xp.reshape(x, (-1,)),
        spd=lambda x: xp.matmul(x, xp.conj(x.mT)) + xp.eye(x.shape[-1], dtype=x.dtype),
    )  # fmt: skip
    return spaces


def results(call, xp, a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = eval(call.removeprefix("*").replace("~", " "), environment(xp, a, b))
    return list(made) if call.startswith("*") else [made]


def sample(rng, dtype, shape, special):
    kind = np.dtype(dtype).kind
    x = rng.normal(size=shape) * 2
    if kind == "c":
        x = x + 1j * rng.normal(size=shape)
    if special and kind == "f":
        x = np.where(rng.random(shape) < 0.5, rng.choice([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf], shape), x)
    return np.asarray(x > 0 if kind == "b" else np.abs(x) if kind == "u" else x).astype(dtype)


def plain(x):
    if isinstance(x, strict._array_object.Array):
        return x._array
    if isinstance(x, strict._dtypes.DType):
        x = x._np_dtype
    return np.asarray(x.data if type(x) is cr.Value else x.str if isinstance(x, np.dtype) else x)


def compare(call, dtype, shape, special):
    """Whether the standard has an answer to this call, which then is also ours."""
    rng = np.random.default_rng([*map(ord, call), ALL.index(dtype), len(shape)])
    a, b = (sample(rng, dtype, shape, special) for _ in range(2))
    try:
        expected = results(call, strict, a, b)
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError):  # LinAlgError is a ValueError
        return False
    received = results(call, xp, a, b)
    assert len(received) == len(expected)
    for got, want in zip(received, expected):
        if isinstance(want, strict._array_object.Array):
            assert got.shape == want.shape
            assert got.dtype == plain(want).dtype
            if dtype in INEXACT or "dtype" not in call:  # of integers such are plain
                assert (type(got) is cr.Value) == (got.dtype.kind in "fc")
        if plain(want).dtype.kind not in "fc":
            np.testing.assert_array_equal(plain(got), plain(want))
        else:
            precision = 1e-4 if plain(want).dtype in ("f4", "c8") else 1e-11
            np.testing.assert_allclose(plain(got), plain(want), precision, precision)
    return True


@pytest.mark.parametrize(
    "call",
    [pytest.param(c, marks=pytest.mark.xfail(reason=DIFFERENT[c]) if c in DIFFERENT else ()) for c in CALLS],
)
def test_answers(call):
    compared = 0
    for shape in SHAPES:
        if shape == () and ("axis" in call or "fftn" in call):  # which the standard leaves open
            continue
        if 0 in shape and "fft." in call:  # of nothing NumPy's irfft reads memory that is not set
            continue
        for dtype in ALL:
            for special in (False, True) if dtype in REAL and "linalg" not in call else (False,):
                try:
                    compared += compare(call, dtype, shape, special)
                except Exception as error:
                    raise AssertionError(f"{call} of {dtype} {shape}: {error!r}") from error
    assert compared


def functions():
    """The standard's functions, with their names in CALLS."""
    for prefix in ("", "linalg.", "fft."):
        ours, theirs = (getattr(module, prefix[:-1], module) for module in (xp, strict))
        for name in sorted(names(theirs)):
            yield prefix + name, getattr(ours, name), getattr(theirs, name)


def accepts(ours, theirs):
    """Every argument can be given as the standard says: in its place, by its name, or both."""
    try:
        received = list(inspect.signature(ours).parameters.values())
    except ValueError:
        return True  # written in C
    wanted = [p for p in inspect.signature(theirs).parameters.values() if p.name != "self"]
    named = {p.name: p.kind for p in received}
    for p, q in itertools.zip_longest(wanted, received[: len(wanted)]):
        if p.kind is p.KEYWORD_ONLY:
            fits = named.get(p.name) in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
        elif p.kind is p.POSITIONAL_ONLY:
            fits = q is not None and q.kind is not q.KEYWORD_ONLY
        else:
            fits = q is not None and q.kind is p.kind and (q.name == p.name or p.kind is p.VAR_POSITIONAL)
        if not fits:
            return False
    return True


@pytest.mark.parametrize(("name", "ours", "theirs"), list(functions()))
def test_signatures(name, ours, theirs):
    if not callable(theirs) or isinstance(theirs, type) or type(theirs) is strict._dtypes.DType:
        return
    assert any(f"{name}(" in call for call in CALLS), "no call of it above"
    assert accepts(ours, theirs)


# As the standard names them; `x += y` it leaves to Python where an array has no method for it.
METHODS = """
abs add and array_namespace bool complex dlpack dlpack_device eq float floordiv ge getitem gt index int invert
le lshift lt matmul mod mul ne neg or pos pow rshift setitem sub truediv xor
""".split()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", ["bool", "int64", "float64"])
def test_methods(name, dtype):
    theirs = getattr(strict._array_object.Array, f"__{name}__")
    assert accepts(getattr(xp.ones((3,), dtype=dtype), f"__{name}__"), theirs)


def test_bounds_of_clip_by_numpys_names():
    x = xp.asarray([1.0, 2.0, 3.0])
    for bounds in ({"a_min": 1.5, "a_max": 2.5}, {"min": 1.5, "max": 2.5}, {"a_min": 1.5, "max": 2.5}):
        assert xp.clip(x, **bounds).data.tolist() == [1.5, 2.0, 2.5]
        assert np.array_equal(xp.clip(np.arange(4), **bounds), [1.5, 1.5, 2.0, 2.5])


@pytest.mark.parametrize("dtype", INEXACT)
def test_limits_are_numbers_of_pythons(dtype):
    for limits in xp.finfo(dtype), xp.finfo(xp.ones((), dtype=dtype)), xp.finfo(xp.ones(2, dtype=dtype)):
        known = np.finfo(dtype)
        assert limits.dtype is known.dtype and type(limits.bits) is int
        for name in ("eps", "max", "min", "smallest_normal", "tiny"):
            assert type(getattr(limits, name)) is float and getattr(limits, name) == getattr(known, name)
    for dtype in INTEGER:
        assert {type(getattr(xp.iinfo(dtype), name)) for name in ("bits", "max", "min")} == {int}


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
@pytest.mark.parametrize(
    "copy",
    [
        lambda x: xp.asarray(x, copy=True),
        lambda x: xp.astype(x, x.dtype),
        lambda x: xp.reshape(x, (x.size,), copy=True),
        lambda x: np.reshape(x, (x.size,), order="F", copy=True),
        lambda x: xp.from_dlpack(x, copy=True),
    ],
    ids=["asarray", "astype", "reshape", "reshape by columns", "from_dlpack"],
)
def test_copies_stay_what_they_were(copy, shape, dtype):
    x = xp.zeros(shape, dtype=dtype)
    copied = copy(x)
    x[...] = 1
    assert not plain(copied).any() and plain(x).all()


@pytest.mark.parametrize("counts", [[], np.zeros(0), xp.asarray([])], ids=["list", "array", "Value"])
def test_no_elements_are_repeated_no_times(counts):
    assert xp.repeat(xp.ones((2, 0)), counts, axis=1).shape == (2, 0)
    with pytest.raises(ValueError, match="expected a number of times, or one for each of 2"):
        xp.repeat(xp.ones((2,)), counts)


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("version", [None, (0, 0), (1, 0)])
def test_other_libraries_may_have_leaves_and_results(version, dtype):
    leaf = xp.ones((2, 3), dtype=dtype)
    for x in leaf, xp.multiply(leaf, leaf) if dtype != "bool" else leaf, leaf[1:]:
        for copy in None, True, False:
            assert x.__dlpack__(stream=None, max_version=version, dl_device=(1, 0), copy=copy)
        np.testing.assert_array_equal(np.from_dlpack(x), plain(x))


def test_namespace():
    v = cr.Value(np.ones(3))
    assert v.__array_namespace__() is v.__array_namespace__(api_version=VERSION) is xp
    assert xp.__array_api_version__ >= VERSION
    with pytest.raises(ValueError, match=r"api_version is '2000.12', expected one of 2021.12"):
        v.__array_namespace__(api_version="2000.12")
    info = xp.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] and info.devices() == ["cpu"]
    assert names(strict) <= set(dir(xp))


strategies = array_api.make_strategies_namespace(xp, api_version="2022.12")


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.data())
def test_hypothesis_fills_arrays(data):
    """Hypothesis makes its arrays by the standard's functions alone."""
    shapes = strategies.array_shapes(min_dims=0, min_side=0)
    x = data.draw(strategies.arrays(strategies.scalar_dtypes(), shapes))
    assert (type(x) is cr.Value) == (x.dtype.kind in "fc")
    index = data.draw(strategies.indices(x.shape, allow_newaxis=True))
    assert np.array_equal(plain(x[index]), plain(x)[index], equal_nan=True)
    wanted = plain(x).copy()
    new = data.draw(strategies.arrays(x.dtype, wanted[index].shape))
    x[index], wanted[index] = new, plain(new)
    assert np.array_equal(plain(x), wanted, equal_nan=True)
