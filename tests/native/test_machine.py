"""IR becomes code that runs, is kept on disk, and is freed; loops run in several threads."""

import builtins
import ctypes
import gc
import importlib.util
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding as llvm
import numpy as np
import pytest

from chainrule.native import cache, machine

UNARY = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))


def add(number):
    return f"define double @f(double %x) {{\n  %y = fadd double %x, {float(number)!r}\n  ret double %y\n}}\n"


def call(library, x, name="f"):
    return UNARY(library.address(name))(x)


# -------------------------------------------------------------------- loading


def test_code_runs():
    assert call(machine.load(add(2)), 1.0) == 3.0


def test_the_second_load_compiles_nothing(monkeypatch):
    machine.load(add(3))
    monkeypatch.setattr(machine.Machine, "optimised", lambda *_: pytest.fail("compiled again"))
    assert call(machine.load(add(3)), 1.0) == 4.0


def test_the_key_depends_on_everything(monkeypatch):
    keys = {machine.Machine(*args).key(ir) for ir in (add(1), add(2)) for args in (
        ("x86_64-unknown-linux-gnu",), ("x86_64-unknown-linux-gnu", "znver4"), ("aarch64-unknown-linux-gnu",),
        ("x86_64-unknown-linux-gnu", "", "+avx2"),
    )}  # fmt: skip
    assert len(keys) == 8
    key = machine.host().key(add(1))
    for name, module in (("FORMAT", machine), ("__version__", machine.llvmlite), ("llvm_version_info", llvm)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, "another")
            assert machine.host().key(add(1)) != key
    assert machine.host().key(add(1)) == key


def test_compiling_twice_gives_the_same_bytes():
    assert machine.host().compile(add(4)) == machine.host().compile(add(4))


def test_damaged_entry_is_compiled_again(tmp_path):
    machine.load(add(5))
    (entry,) = (tmp_path / "cache").iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-100])
    assert call(machine.load(add(5)), 1.0) == 6.0
    assert entry.read_bytes() == whole


def test_without_a_cache(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    assert call(machine.load(add(6)), 1.0) == 7.0


def test_another_process_runs_the_same_object(tmp_path):
    # the addresses of libc, BLAS and the code itself differ there
    ir = textwrap.dedent("""
        declare double @cos(double)
        declare double @cr_twice(double)
        define double @f(double %x) {
          %y = call double @cos(double %x)
          %z = call double @cr_twice(double %y)
          ret double %z
        }
        """)
    program = textwrap.dedent("""
        import ctypes, sys
        import llvmlite.binding as llvm
        from chainrule.native import cache, machine
        UNARY = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
        twice = UNARY(lambda x: 2 * x)
        llvm.add_symbol("cr_twice", ctypes.cast(twice, ctypes.c_void_p).value)
        if sys.argv[2:]:
            del machine.Machine.compile
        library = machine.load(sys.argv[1])
        print(UNARY(library.address("f"))(0.5))
        """)
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for warm in ([], ["warm"]):
        run = subprocess.run(
            [sys.executable, "-c", program, ir, *warm], capture_output=True, text=True, env=paths, check=False
        )
        assert (run.returncode, run.stderr) == (0, "")
        assert float(run.stdout) == 2 * np.cos(0.5)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_helpers_are_inlined_and_leave_nothing_behind():
    ir = "define internal double @helper(double %x) alwaysinline {\n  ret double %x\n}\n" + add(7).replace(
        "%y = fadd double %x", "%h = call double @helper(double %x)\n  %y = fadd double %h"
    )
    assert "helper" not in machine.host().assembly(ir)
    assert call(machine.load(ir), 1.0) == 8.0


def test_constants_and_calls_far_away():
    # constants, data of the module's own, a function of libm that LLVM puts in for an intrinsic
    ir = textwrap.dedent("""
        @table = internal constant [4 x double] [double 1.0, double 2.0, double 3.0, double 4.0]
        declare double @llvm.exp.f64(double)
        define double @f(double %x) {
          %i = fptosi double %x to i64
          %at = getelementptr double, ptr @table, i64 %i
          %t = load double, ptr %at
          %e = call double @llvm.exp.f64(double %x)
          %y = fmul double %t, %e
          ret double %y
        }
        """)
    assert call(machine.load(ir), 2.5) == pytest.approx(3 * np.exp(2.5), rel=1e-15)


def test_a_long_body():
    n, lines = 5_000, ["define double @f(double %x) {", "  %v0 = fadd double %x, 0.0"]
    lines += [
        f"  %v{i} = {'fmul' if i % 2 else 'fadd'} double %v{i - 1}, {1 + 1 / (i + 1)!r}" for i in range(1, n)
    ]
    library = machine.load("\n".join([*lines, f"  ret double %v{n - 1}", "}", ""]))
    expected = 0.1
    for i in range(1, n):
        expected = expected * (1 + 1 / (i + 1)) if i % 2 else expected + (1 + 1 / (i + 1))
    assert call(library, 0.1) == expected


def test_no_number_changes():
    # no fast-math behind the back: x + 0 is not x for -0, x * 0 is not 0 for nan, x - x not 0 for inf
    ir = "".join(
        f"define double @{name}(double %x) {{\n  %y = {code}\n  ret double %y\n}}\n"
        for name, code in (
            ("plus", "fadd double %x, 0.0"), ("times", "fmul double %x, 0.0"), ("minus", "fsub double %x, %x")
        )
    )  # fmt: skip
    library = machine.load(ir)
    assert str(call(library, -0.0, "plus")) == "0.0"
    assert np.isnan(call(library, np.nan, "times")) and str(call(library, -1.0, "times")) == "-0.0"
    assert np.isnan(call(library, np.inf, "minus"))


# -------------------------------------------------------------------- what is wrong is said


def test_ir_that_does_not_parse():
    with pytest.raises(RuntimeError, match="value doesn't match function result type"):
        machine.load("define i32 @f() {\n  ret i64 1\n}\n")


def test_ir_that_does_not_verify():
    with pytest.raises(RuntimeError, match="does not dominate"):
        machine.load("define i32 @f() {\n  %a = add i32 %b, 1\n  %b = add i32 1, 1\n  ret i32 %a\n}\n")


@pytest.mark.parametrize("load", ["cold", "warm"])
def test_function_that_is_nowhere(load, capfd):
    body = "define double @f(double %x) {\n  %y = call double @cr_nowhere(double %x)\n  ret double %y\n}\n"
    ir = "declare double @cr_nowhere(double)\n" + body
    for _ in range(2 if load == "warm" else 1):
        library = machine.load(ir)
    with pytest.raises(RuntimeError, match="this process has no cr_nowhere"):
        library.address("f")
    assert capfd.readouterr().err == ""


def test_name_that_is_not_defined():
    with pytest.raises(RuntimeError, match=r"Symbols not found: .*other"):
        machine.load(add(1)).address("other")


def test_without_llvmlite(monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("llvmlite"):
            raise ImportError(f"No module named {name!r}")
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    spec = importlib.util.spec_from_file_location("machine_again", machine.__file__)
    with pytest.raises(ImportError) as raised:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert str(raised.value) == "compile needs llvmlite and SciPy: pip install 'chainrule[compile]'"


# -------------------------------------------------------------------- lifetime and threads


def test_freeing_the_library_frees_the_code():
    code = machine.host().compile(add(8))

    def resident():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    reference = None
    for i in range(600):
        machine.Library(add(8), code).address("f")
        if i == 200:
            reference = resident()
    assert resident() - reference < 400 * 2_000  # a page of code each would be twice as much

    library = machine.Library(add(8), code)
    alive = weakref.ref(library)
    address = library.address("f")
    assert UNARY(address)(1.0) == 9.0
    del library
    assert alive() is None


def test_eight_threads_compile_two_hundred_modules():
    def work(i):
        library = machine.load(add(i % 150))  # some of them at the same time as another thread
        return library, call(library, 1.0)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(200)))
    assert [y for _, y in results] == [1.0 + i % 150 for i in range(200)]
    assert [call(library, 2.0) for library, _ in results] == [2.0 + i % 150 for i in range(200)]


# -------------------------------------------------------------------- machines


def test_host():
    host = machine.host()
    assert host is machine.host()
    assert host.vector_bits in (128, 256, 512)
    assert llvm.Target.from_triple(host.triple).name


@pytest.mark.parametrize(
    "features, bits", [("", 128), ("+avx2", 256), ("+avx2,+avx512f", 512), ("+avx2,-avx512f", 256)]
)
def test_vector_bits(features, bits):
    assert machine.Machine("x86_64-unknown-linux-gnu", "", features).vector_bits == bits


@pytest.mark.parametrize(
    "triple, instruction",
    [("aarch64-unknown-linux-gnu", "fadd\tv0.2d"), ("arm64-apple-macosx", "fadd.2d"),
     ("x86_64-unknown-linux-gnu", "addpd")],
)  # fmt: skip
def test_foreign_machines(triple, instruction):
    foreign = machine.Machine(triple)
    ir = machine.PARALLEL + textwrap.dedent("""
        define <2 x double> @g(<2 x double> %x) {
          %y = fadd <2 x double> %x, %x
          ret <2 x double> %y
        }
        define void @h(ptr %body) {
          call void @cr_parallel(ptr %body, ptr null, i64 9, i64 2)
          ret void
        }
        """)
    assert foreign.vector_bits == 128
    text = foreign.assembly(ir)
    assert instruction in text and "pthread_create" in text
    assert len(foreign.compile(ir)) > 100


# -------------------------------------------------------------------- parallel loops

RUN = "define void @run(ptr %body, ptr %context, i64 %n, i64 %threads) {\n" \
      "  call void @cr_parallel(ptr %body, ptr %context, i64 %n, i64 %threads)\n  ret void\n}\n"  # fmt: skip
BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
PARALLEL = ctypes.CFUNCTYPE(None, BODY, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def pieces(library, n, threads):
    seen = []
    body = BODY(lambda context, lo, hi: seen.append((lo, hi, context, threading.get_ident())))
    PARALLEL(library.address("run"))(body, 77, n, threads)
    assert {context for _, _, context, _ in seen} <= {77}
    return sorted((lo, hi, thread) for lo, hi, _, thread in seen)


@pytest.fixture(scope="module")
def parallel(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_CACHE", "off")
        return machine.load(RUN + machine.PARALLEL)


@pytest.mark.parametrize("n", [-1, 0, 1, 2, 3, 7, 8, 9, 1000, 2**40 + 3])
@pytest.mark.parametrize("threads", [-1, 0, 1, 2, 3, 8])
def test_pieces_cover_the_range(parallel, n, threads):
    seen = pieces(parallel, n, threads)
    assert len(seen) == (max(1, min(threads, n)) if n > 0 else 0)
    ends = [0] + [hi for _, hi, _ in seen]
    assert [lo for lo, _, _ in seen] == ends[:-1] and ends[-1] == max(n, 0)
    sizes = {hi - lo for lo, hi, _ in seen}
    assert not sizes or max(sizes) - min(sizes) <= 1
    if seen:
        assert seen[0][2] == threading.get_ident()
        assert all(thread != threading.get_ident() for _, _, thread in seen[1:])


def test_pieces_really_run_at_the_same_time(parallel):
    barrier = threading.Barrier(4, timeout=20)  # passes only when four arrive
    body = BODY(lambda context, lo, hi: barrier.wait() and None)
    PARALLEL(parallel.address("run"))(body, None, 4, 4)
    assert not barrier.broken


def test_where_no_thread_can_be_had():
    calls = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    def refuse_every_second(thread, attributes, start, piece):
        calls.append(piece)
        return 11 if len(calls) % 2 else create(thread, attributes, start, piece)

    create = ctypes.CDLL(None).pthread_create
    create.argtypes = [ctypes.c_void_p] * 4
    llvm.add_symbol("cr_refuse", ctypes.cast(refuse_every_second, ctypes.c_void_p).value)
    library = machine.load(RUN + machine.PARALLEL.replace("@pthread_create", "@cr_refuse"))
    seen = pieces(library, 100, 5)
    assert [(lo, hi) for lo, hi, _ in seen] == [(0, 20), (20, 40), (40, 60), (60, 80), (80, 100)]
    here = threading.get_ident()
    assert [thread == here for _, _, thread in seen] == [True, True, False, True, False]


def test_a_native_body_in_two_threads():
    ir = RUN + machine.PARALLEL + textwrap.dedent("""
        define internal void @square(ptr %x, i64 %lo, i64 %hi) {
        entry:
          br label %loop
        loop:
          %i = phi i64 [%lo, %entry], [%next, %loop]
          %at = getelementptr double, ptr %x, i64 %i
          %v = load double, ptr %at
          %w = fmul double %v, %v
          store double %w, ptr %at
          %next = add i64 %i, 1
          %more = icmp slt i64 %next, %hi
          br i1 %more, label %loop, label %done
        done:
          ret void
        }
        define void @f(ptr %x, i64 %n, i64 %threads) {
          call void @cr_parallel(ptr @square, ptr %x, i64 %n, i64 %threads)
          ret void
        }
        """)
    x = np.linspace(-1, 1, 1001)
    expected = x * x
    library = machine.load(ir)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(library.address("f"))(
        x.ctypes.data, x.size, 2
    )
    np.testing.assert_array_equal(x, expected)


def test_load_survives_a_cache_that_fails(monkeypatch):
    monkeypatch.setattr(cache, "_directory", lambda: (_ for _ in ()).throw(MemoryError))
    assert call(machine.load(add(9)), 1.0) == 10.0
