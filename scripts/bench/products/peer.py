"""A library's side of the products benchmark: PyTorch (MKL or cuBLAS) or numpy (OpenBLAS), told on standard input.

    python3 scripts/bench/products/peer.py torch|numpy|cublaslt|cublaslt-without-split-k THREADS cpu|cuda:N

Each input line `KIND ROWS IN OUT SECONDS DTYPE LAYOUT` answers {"seconds": [...]}, as products/main.cpp does: every
call's time, on a GPU the mean of some that are queued. x is (rows, in), the weight (in, out) or (out, in), the output's
gradient (rows, out); the results overwrite, no gradient accumulates.
"""
import ctypes
import glob
import json
import os
import sys
import time
from functools import partial


class LeftOut(Exception):
    """This library cannot be compared here: the message says why."""


QUEUED = 10  # calls on a GPU between two marks


def torch_side(threads, device):
    import torch
    torch.set_num_threads(threads)

    def prepare(kind, rows, inner, outer, dtype, layout):
        def random(rows, columns):
            return (torch.rand(rows, columns, device=device) * 2 - 1).to(getattr(torch, dtype))

        x, y = random(rows, inner), random(rows, outer)
        stored = random(inner, outer) if layout == 'in_out' else random(outer, inner)
        weight = stored if layout == 'in_out' else stored.t()
        gradient = (lambda: torch.mm(x.t(), y, out=stored)) if layout == 'in_out' else (lambda: torch.mm(y.t(), x, out=stored))
        return {'forward': lambda: torch.mm(x, weight, out=y),
                'input': lambda: torch.mm(y, weight.t(), out=x),
                'weight': gradient}[kind]

    def time_queued(call):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(QUEUED):
            call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / QUEUED

    core = os.environ.get('MKL_ENABLE_INSTRUCTIONS', "MKL's own choice") if device == 'cpu' else 'cuBLAS'
    facts = {'library': f'PyTorch {torch.__version__}', 'core': core}
    return prepare, time_on_host if device == 'cpu' else time_queued, facts


def cublaslt_side(threads, device, splits):
    """PyTorch's products through cuBLASLt alone, of one algorithm that it may or may not split along K."""
    import torch
    torch.backends.cuda.preferred_blas_library('cublaslt')
    settings = torch.backends.cuda.matmul
    if not hasattr(settings, 'allow_bf16_reduced_precision_reduction_split_k'):
        raise LeftOut(f'PyTorch {torch.__version__} has no switch for split-K')
    settings.allow_bf16_reduced_precision_reduction = (splits, splits)
    if settings.allow_bf16_reduced_precision_reduction_split_k != splits:
        raise RuntimeError('PyTorch did not take the setting of split-K')
    prepare, time_call, facts = torch_side(threads, device)
    return prepare, time_call, {**facts, 'core': 'cuBLASLt' if splits else 'cuBLASLt without split-K'}


def openblas_core():
    """The kernels that numpy's OpenBLAS runs; numpy has no public call for it."""
    import numpy
    folder = os.path.join(os.path.dirname(os.path.dirname(numpy.__file__)), 'numpy.libs')
    for file in glob.glob(os.path.join(folder, '*openblas*')):
        library = ctypes.CDLL(file)
        for name in ('scipy_openblas_get_corename64_', 'openblas_get_corename'):
            if hasattr(library, name):
                get = getattr(library, name)
                get.restype = ctypes.c_char_p
                return get().decode()
    return 'unknown'


def numpy_side(_threads, _device):
    import numpy
    random = numpy.random.default_rng(1)

    def prepare(kind, rows, inner, outer, dtype, layout):
        if (dtype, layout) != ('float32', 'in_out'):
            raise ValueError(f'numpy multiplies float32, in_out only: found {dtype}, {layout}')
        x, y, weight = (random.uniform(-1, 1, shape).astype(numpy.float32)
                        for shape in ((rows, inner), (rows, outer), (inner, outer)))
        return {'forward': lambda: numpy.matmul(x, weight, out=y),
                'input': lambda: numpy.matmul(y, weight.T, out=x),
                'weight': lambda: numpy.matmul(x.T, y, out=weight)}[kind]

    version = numpy.show_config(mode='dicts')['Build Dependencies']['blas']['version']
    return prepare, time_on_host, {'library': f'OpenBLAS {version} of numpy {numpy.__version__}', 'core': openblas_core()}


def time_on_host(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def main():
    library, threads, device = sys.argv[1:]
    sides = {'torch': torch_side, 'numpy': numpy_side, 'cublaslt': partial(cublaslt_side, splits=True),
             'cublaslt-without-split-k': partial(cublaslt_side, splits=False)}
    try:
        prepare, time_call, facts = sides[library](int(threads), device)
    except LeftOut as reason:
        print(json.dumps({'leftOut': str(reason)}), flush=True)
        return
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        kind, rows, inner, outer, seconds, dtype, layout = line.split()
        call = prepare(kind, int(rows), int(inner), int(outer), dtype, layout)
        call()
        times, end = [], time.perf_counter() + float(seconds)
        while time.perf_counter() < end or len(times) < 3:
            times.append(time_call(call))
        print(json.dumps({'seconds': times}), flush=True)


main()
