#!/usr/bin/env python3
"""Writes the files of this folder with NumPy; npy_test.cpp knows their numbers. git diff then shows only the
archives, which hold the time."""

import os

import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def npy(name, array, version=None):
    with open(name, "wb") as file:
        np.lib.format.write_array(file, array, version)


last = {"u8": 2**63}
for kind in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
    info = np.iinfo(kind)
    numbers = [[0, 1, 2], [3, 100, last.get(kind, info.min or info.max)]]
    for order in "<>" if kind[1] != "1" else "<":
        npy(f"{kind}{'_big' if order == '>' else ''}.npy", np.array(numbers, order + kind))
for kind in ["f2", "f4", "f8"]:
    info = np.finfo(kind)
    numbers = [[-0.0, 1.5, info.max], [info.smallest_subnormal, -np.inf, np.nan]]
    for order in "<>":
        npy(f"{kind}{'_big' if order == '>' else ''}.npy", np.array(numbers, order + kind))
npy("b1.npy", np.array([[True, False, False], [False, True, True]]))

npy("fortran.npy", np.asfortranarray(np.arange(24, dtype="<i4").reshape(2, 3, 4)))
npy("version2.npy", np.arange(3, dtype="<f4"), (2, 0))
npy("version3.npy", np.arange(3, dtype="<f8"), (3, 0))
npy("scalar.npy", np.array(2.5))
npy("empty.npy", np.zeros((0, 4), "<f4"))

npy("complex.npy", np.zeros(2, "<c8"))
npy("text.npy", np.array(["a", "bc"]))
npy("record.npy", np.zeros(1, [("a", "<f4"), ("b", "<i4")]))
npy("date.npy", np.zeros(1, "M8[D]"))
npy("f16.npy", np.zeros(1, "f16"))
npy("too_exact.npy", np.array([1, 2**53 + 1], "<i8"))

arrays = {"x": np.arange(6, dtype="<f4").reshape(2, 3), "ids": np.array([3, 1, 2], "<i8"), "repeated": np.ones(3000, "<f4")}
np.savez("stored.npz", x=arrays["x"], ids=arrays["ids"])
np.savez_compressed("deflated.npz", **arrays)
