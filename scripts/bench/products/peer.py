"""A library's side of the products benchmark: PyTorch (MKL) or numpy (OpenBLAS), told on standard input.

    python3 scripts/bench/products/peer.py torch|numpy THREADS

Each input line `KIND ROWS IN OUT SECONDS` answers {"seconds": [...]}, every call's time, as products/main.cpp does.
x is (rows, in), the weight (in, out), the output's gradient (rows, out); the results overwrite, no gradient accumulates.
"""
import ctypes
import glob
import json
import os
import sys
import time


def torch_side(threads):
    import torch
    torch.set_num_threads(threads)

    def prepare(kind, rows, inner, outer):
        x, y, weight = torch.rand(rows, inner) * 2 - 1, torch.rand(rows, outer) * 2 - 1, torch.rand(inner, outer) * 2 - 1
        return {'forward': lambda: torch.mm(x, weight, out=y),
                'input': lambda: torch.mm(y, weight.t(), out=x),
                'weight': lambda: torch.mm(x.t(), y, out=weight)}[kind]

    facts = {'library': f'PyTorch {torch.__version__}', 'core': os.environ.get('MKL_ENABLE_INSTRUCTIONS', 'MKL\'s own choice')}
    return prepare, facts


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


def numpy_side(threads):
    import numpy
    random = numpy.random.default_rng(1)

    def prepare(kind, rows, inner, outer):
        x, y, weight = (random.uniform(-1, 1, shape).astype(numpy.float32)
                        for shape in ((rows, inner), (rows, outer), (inner, outer)))
        return {'forward': lambda: numpy.matmul(x, weight, out=y),
                'input': lambda: numpy.matmul(y, weight.T, out=x),
                'weight': lambda: numpy.matmul(x.T, y, out=weight)}[kind]

    version = numpy.show_config(mode='dicts')['Build Dependencies']['blas']['version']
    return prepare, {'library': f'OpenBLAS {version} of numpy {numpy.__version__}', 'core': openblas_core()}


def main():
    prepare, facts = {'torch': torch_side, 'numpy': numpy_side}[sys.argv[1]](int(sys.argv[2]))
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        kind, rows, inner, outer, seconds = line.split()
        call = prepare(kind, int(rows), int(inner), int(outer))
        call()
        times, end = [], time.perf_counter() + float(seconds)
        while time.perf_counter() < end or len(times) < 3:
            begin = time.perf_counter()
            call()
            times.append(time.perf_counter() - begin)
        print(json.dumps({'seconds': times}), flush=True)


main()
