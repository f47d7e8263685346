// NumPy's files of arrays: .npy, one array (numpy.save), and .npz, named ones (numpy.savez), of all versions (1.0, 2.0
// and 3.0). Arrays may be in C or Fortran order and of either byte order; tensors are row-major. The formats:
// numpy.org/doc/stable/reference/generated/numpy.lib.format.html and PKWARE's APPNOTE.TXT (zip).
#pragma once

#include <string>

#include <gradus/core/ids.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// An array of numbers, with its shape. The result's type is f32 where that holds every number of the file's type:
/// float16, float32, bool (as 0 and 1), integers of 8 and 16 bits. It is f64 for float64 and integers of 32 and 64
/// bits; an integer that f64 does not hold exactly, which is beyond 2^53, is an Error. Every function here that reads
/// throws Error, naming the file and what is wrong with it, for anything that is not exactly such a file, and for
/// arrays of complex numbers, texts, dates, objects and records.
Tensor load_npy(const std::string& path);
/// An array of integers or bools. Throws Error for another type and for a number that does not fit in 32 bits.
Ids load_npy_ids(const std::string& path);
/// As numpy.save(path, x): version 1.0, little-endian, in C order. The whole file or nothing, as in save_tensors.
void save_npy(const std::string& path, const Tensor& x);

/// All arrays of an archive, in the file's order, as load_npy has them. Checksums are verified. Compressed archives
/// (numpy.savez_compressed) need a build with zlib.
NamedTensors load_npz(const std::string& path);
/// The array `name` alone: the others may be of any type.
Tensor load_npz(const std::string& path, const std::string& name);
Ids load_npz_ids(const std::string& path, const std::string& name);
/// As numpy.savez(path, **arrays): not compressed. Throws Error for a name that is there twice.
void save_npz(const std::string& path, const NamedTensors& arrays);

#pragma GCC visibility pop
}  // namespace gradus::nn
