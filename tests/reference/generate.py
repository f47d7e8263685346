#!/usr/bin/python3
"""Writes tests/reference/*.safetensors: what PyTorch makes of every op, module, optimizer, schedule and model.

Run it with `make reference` (Debian 12: python3-torch 1.13, libopenblas0-openmp). `git diff` must then be empty, which
`generate.py --check`, a test of ctest, sees without writing; `generate.py FOLDER` writes elsewhere. The same version of
PyTorch writes the same bytes on every x86-64 processor, because generate.py starts itself again with everything that
picks code by processor (PyTorch's and OpenBLAS's kernels, the C library's functions) held at the oldest choice. Another
version of PyTorch may round differently in the last places.
"""
import filecmp
import os
import platform
import sys
import tempfile
from pathlib import Path

FIXED = {
    "ATEN_CPU_CAPABILITY": "default",
    "OPENBLAS_CORETYPE": "Nehalem",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
SKIPPED = 77  # for ctest


def write(folder):
    import torch

    import models
    import modules
    import ops
    import optimizers
    from store import Store

    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False
    parts = {part.__name__: part.record for part in (ops, modules, optimizers)}
    for name in models.CONFIGS:
        parts[name] = lambda store, name=name: models.record(store, name)
    for name, record in parts.items():
        store = Store()
        record(store)
        size, cases = store.write(folder / f"{name}.safetensors")
        print(f"{name}.safetensors: {cases} cases, {size:,} bytes")
    return [f"{name}.safetensors" for name in parts]


def can_judge(file):
    """Whether there is the PyTorch here that wrote this file, with the same BLAS; says what is missing."""
    try:
        import torch
    except ImportError:
        print("there is no PyTorch here")
        return False
    from store import version_of

    if version_of(file) != torch.__version__ or platform.machine() != "x86_64":
        print(f"the files are from another PyTorch than this {torch.__version__} on {platform.machine()}")
        return False
    torch.ones(9, 9) @ torch.ones(9, 9)
    if "openblas" not in Path("/proc/self/maps").read_text():
        print("PyTorch multiplies matrices with another library than OpenBLAS here")
        return False
    return True


def check(folder):
    """Whether PyTorch still writes what is there; SKIPPED where it cannot judge."""
    if not can_judge(folder / "ops.safetensors"):
        return SKIPPED
    with tempfile.TemporaryDirectory() as fresh:
        changed = [name for name in write(Path(fresh)) if not filecmp.cmp(Path(fresh) / name, folder / name, False)]
    print(f"changed: {', '.join(changed)}" if changed else "all as it is in tests/reference")
    return 1 if changed else 0


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in FIXED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **FIXED})
    here = Path(__file__).parent
    if sys.argv[1:] == ["--check"]:
        sys.exit(check(here))
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else here)
