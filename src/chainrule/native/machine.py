"""Machine code from LLVM IR: optimised, kept on disk, linked into this process, called by address.

    IR text -> (disk cache) -> object code -> Library -> addresses

Cold and warm loads meet at the object code: LLVM's just-in-time linker gets the same bytes, whether they
were compiled a moment ago or last week by another process. So the IR holds no address, only names, and
the linker looks them up in this process.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import threading
from typing import Any

from chainrule.native import cache

__all__ = ["PARALLEL", "Library", "Machine", "host", "load", "require"]


def require() -> None:
    """Check that the packages behind ``compile`` are there.

    Raises
    ------
    ImportError
        With the command that installs them.
    """
    try:
        import llvmlite.binding  # noqa: F401
        import scipy.linalg.cython_blas  # noqa: F401
    except ImportError as missing:
        raise ImportError("compile needs llvmlite and SciPy: pip install 'chainrule[compile]'") from missing


require()

import llvmlite  # noqa: E402
import llvmlite.binding as llvm  # noqa: E402

FORMAT = "1"  # raise it when the passes or the options below change: old object code is then left alone


# -------------------------------------------------------------------- compiling


class Machine:
    """A processor to compile for.

    Parameters
    ----------
    triple : str
        Such as ``"aarch64-unknown-linux-gnu"``.
    cpu : str
        LLVM's name of the processor, such as ``"znver4"``; ``""`` for the plainest.
    features : str
        Such as ``"+avx2,-avx512f"``.

    Attributes
    ----------
    vector_bits : int
        Width of the vectors worth using: 512, 256 or 128.
    """

    def __init__(self, triple: str, cpu: str = "", features: str = "") -> None:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        self.triple, self.cpu, self.features = triple, cpu, features
        has = set(features.split(","))
        self.vector_bits = 512 if "+avx512f" in has else 256 if "+avx2" in has else 128
        # The small code model reads constants relative to the program counter, in one instruction; far
        # functions are reached through the linker's table, which position-independent code asks for.
        self.target: Any = llvm.Target.from_triple(triple).create_target_machine(
            cpu=cpu, features=features, opt=2, reloc="pic", codemodel="small", jit=True
        )
        self.layout = str(self.target.target_data)
        # made once, because llvmlite 0.50 never frees a pass manager
        self.passes: Any = llvm.create_new_module_pass_manager()
        # The code generator writes vectors and loops out, and finds common subexpressions itself. What is
        # left is to inline the helpers and to tidy up. On straight-line bodies of 20,000 instructions LLVM's
        # own O1 and O2 take 10 to 20 times as long, more than all else together, and the code gets slower,
        # because what they hoist has to be spilled.
        self.passes.add_always_inliner_pass()
        self.passes.add_global_dead_code_eliminate_pass()
        self.passes.add_sroa_pass()
        self.passes.add_instruction_combine_pass()
        self.passes.add_simplify_cfg_pass()

    def key(self, ir: str) -> str:
        """Name of the object code of ``ir`` in the disk cache: a hash of all that it depends on."""
        versions = (FORMAT, llvmlite.__version__, str(llvm.llvm_version_info))
        parts = (*versions, self.triple, self.cpu, self.features, ir)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def compile(self, ir: str) -> bytes:
        """Object code of the IR.

        Raises
        ------
        RuntimeError
            With LLVM's words, where the IR does not parse or verify.
        """
        return bytes(self.target.emit_object(self.optimised(ir)))

    def assembly(self, ir: str) -> str:
        """Assembly of the IR, to be read."""
        return str(self.target.emit_assembly(self.optimised(ir)))

    def optimised(self, ir: str) -> Any:
        """The module after the passes.

        A context of its own for each module, because the global one keeps every constant for ever. llvmlite
        holds a lock during each call into LLVM, so threads take turns here and share nothing else.
        """
        module = llvm.parse_assembly(ir, llvm.create_context())
        module.triple, module.data_layout = self.triple, self.layout
        module.verify()
        # A builder may run once only: it keeps pointers into the run.
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        self.passes.run(module, llvm.create_pass_builder(self.target, options))
        return module


@functools.cache
def _host() -> Machine:
    features = llvm.get_host_cpu_features().flatten()
    return Machine(llvm.get_process_triple(), llvm.get_host_cpu_name(), features)


_once = threading.Lock()  # functools.cache may run a function twice when threads arrive together


def host() -> Machine:
    """The processor of this process."""
    with _once:
        return _host()


# -------------------------------------------------------------------- linking

_process = ctypes.CDLL(None if os.name == "posix" else "ucrtbase")
_declared = re.compile(r"\ndeclare [^@]*@(?!llvm\.)([\w.$]+)")  # ten times as fast as with ^


class Library:
    """Code that can be called. It is freed with this object, so keep it as long as an address is in use.

    Attributes
    ----------
    size : int
        Bytes of object code.
    cached : bool
        Whether it came from the disk.
    """

    def __init__(self, ir: str, code: bytes, cached: bool = False) -> None:
        self._trackers: dict[str, Any] = {}
        self.size, self.cached = len(code), cached
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        self._missing = []
        for name in dict.fromkeys(_declared.findall("\n" + ir)):
            if address := llvm.address_of_symbol(name):  # what add_symbol has named
                builder.import_symbol(name, address)
            elif not hasattr(_process, name):
                self._missing.append(name)
        # A linker of its own, because a shared one keeps an empty shell of each library for ever. JITLink,
        # because it puts the sections of an object side by side, as the small code model needs.
        self._linker = llvm.create_lljit_compiler(host().target, use_jit_link=True, suppress_errors=True)
        self._trackers[""] = builder.link(self._linker, "library")

    def __del__(self) -> None:
        self._trackers.clear()  # before the linker that they belong to

    def address(self, name: str) -> int:
        """Where the function begins.

        Raises
        ------
        RuntimeError
            With LLVM's words, where there is no such function or one that it needs is missing.
        """
        if name not in self._trackers:
            try:
                self._trackers[name] = self._linker.lookup("library", name)
            except RuntimeError as error:
                missing = f"; this process has no {', '.join(self._missing)}" if self._missing else ""
                raise RuntimeError(f"{error}{missing}") from None
        return int(self._trackers[name][name])


def load(ir: str) -> Library:
    """Compile the IR for this processor, or take its object code from the disk cache, and link it.

    Names declared in the IR are looked up among those given to ``llvmlite.binding.add_symbol``, then in
    the process: libc, libm, pthreads.

    Raises
    ------
    RuntimeError
        With LLVM's words, where the IR does not parse, verify or link.
    """
    key = host().key(ir)
    found = cache.lookup(key)
    if found is not None:
        return Library(ir, found, cached=True)
    code = host().compile(ir)
    cache.store(key, code)
    return Library(ir, code)


# -------------------------------------------------------------------- parallel loops

# cr_parallel(body, context, n, threads) runs body(context, lo, hi) on contiguous pieces of [0, n): the first
# in the calling thread, each other in a new thread, or in the calling thread too where none can be had.
# body is not called for n <= 0, never with lo == hi, and may not raise. A pthread_t is as wide as a pointer
# on Linux and macOS. Windows has no pthreads: there this text does not link, and the loops have to be serial.
PARALLEL = """
%cr_piece = type { ptr, ptr, i64, i64, i64, i32 }  ; body, context, lo, hi, thread, what pthread_create said

declare i32 @pthread_create(ptr, ptr, ptr, ptr) nounwind
declare i32 @pthread_join(i64, ptr) nounwind

define internal ptr @cr_piece_run(ptr %piece) nounwind {
  %body = load ptr, ptr %piece
  %context_at = getelementptr %cr_piece, ptr %piece, i64 0, i32 1
  %lo_at = getelementptr %cr_piece, ptr %piece, i64 0, i32 2
  %hi_at = getelementptr %cr_piece, ptr %piece, i64 0, i32 3
  %context = load ptr, ptr %context_at
  %lo = load i64, ptr %lo_at
  %hi = load i64, ptr %hi_at
  call void %body(ptr %context, i64 %lo, i64 %hi)
  ret ptr null
}

define internal void @cr_parallel(ptr %body, ptr %context, i64 %n, i64 %threads) noinline nounwind {
entry:
  %any = icmp sgt i64 %n, 0
  br i1 %any, label %count, label %done
count:
  %pieces = call i64 @llvm.smin.i64(i64 %n, i64 %threads)
  %many = icmp sgt i64 %pieces, 1
  br i1 %many, label %split, label %serial
serial:
  call void %body(ptr %context, i64 0, i64 %n)
  br label %done
split:
  %share = sdiv i64 %n, %pieces
  %rest = srem i64 %n, %pieces  ; the first ones take one more
  %extra = icmp ne i64 %rest, 0
  %one = zext i1 %extra to i64
  %first = add i64 %share, %one
  %array = alloca %cr_piece, i64 %pieces
  br label %start
start:
  %i = phi i64 [1, %split], [%i_next, %started]
  %lo = phi i64 [%first, %split], [%hi, %started]
  %longer = icmp slt i64 %i, %rest
  %more = zext i1 %longer to i64
  %length = add i64 %share, %more
  %hi = add i64 %lo, %length
  %piece = getelementptr %cr_piece, ptr %array, i64 %i
  %context_at = getelementptr %cr_piece, ptr %piece, i64 0, i32 1
  %lo_at = getelementptr %cr_piece, ptr %piece, i64 0, i32 2
  %hi_at = getelementptr %cr_piece, ptr %piece, i64 0, i32 3
  %thread_at = getelementptr %cr_piece, ptr %piece, i64 0, i32 4
  %status_at = getelementptr %cr_piece, ptr %piece, i64 0, i32 5
  store ptr %body, ptr %piece
  store ptr %context, ptr %context_at
  store i64 %lo, ptr %lo_at
  store i64 %hi, ptr %hi_at
  %status = call i32 @pthread_create(ptr %thread_at, ptr null, ptr @cr_piece_run, ptr %piece)
  store i32 %status, ptr %status_at
  %refused = icmp ne i32 %status, 0
  br i1 %refused, label %here, label %started
here:
  call void %body(ptr %context, i64 %lo, i64 %hi)
  br label %started
started:
  %i_next = add i64 %i, 1
  %again = icmp slt i64 %i_next, %pieces
  br i1 %again, label %start, label %own
own:
  call void %body(ptr %context, i64 0, i64 %first)
  br label %join
join:
  %j = phi i64 [1, %own], [%j_next, %joined]
  %other = getelementptr %cr_piece, ptr %array, i64 %j
  %other_status_at = getelementptr %cr_piece, ptr %other, i64 0, i32 5
  %other_status = load i32, ptr %other_status_at
  %runs = icmp eq i32 %other_status, 0
  br i1 %runs, label %wait, label %joined
wait:
  %other_thread_at = getelementptr %cr_piece, ptr %other, i64 0, i32 4
  %other_thread = load i64, ptr %other_thread_at
  %ignored = call i32 @pthread_join(i64 %other_thread, ptr null)
  br label %joined
joined:
  %j_next = add i64 %j, 1
  %unjoined = icmp slt i64 %j_next, %pieces
  br i1 %unjoined, label %join, label %done
done:
  ret void
}

declare i64 @llvm.smin.i64(i64, i64)
"""
