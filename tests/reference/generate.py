#!/usr/bin/python3
"""Writes tests/reference/*.safetensors: what PyTorch makes of every op, module, optimizer, schedule and model.

Run it with `make reference` (Debian 12: python3-torch 1.13, libopenblas0-openmp). `git diff` must then be empty: the
same version of PyTorch writes the same bytes on every x86-64 machine, because generate.py starts itself again with
everything that picks code by processor (PyTorch's and OpenBLAS's kernels, the C library's functions) held at the
oldest choice. Another version of PyTorch may round differently in the last places.
"""
import os
import sys
from pathlib import Path

FIXED = {
    "ATEN_CPU_CAPABILITY": "default",
    "OPENBLAS_CORETYPE": "Nehalem",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def main():
    import torch

    import models
    import modules
    import ops
    import optimizers
    from store import Store

    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    parts = {part.__name__: part.record for part in (ops, modules, optimizers)}
    for name in models.CONFIGS:
        parts[name] = lambda store, name=name: models.record(store, name)
    for name, record in parts.items():
        store = Store()
        record(store)
        size, cases = store.write(folder / f"{name}.safetensors")
        print(f"{name}.safetensors: {cases} cases, {size:,} bytes")


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in FIXED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **FIXED})
    main()
