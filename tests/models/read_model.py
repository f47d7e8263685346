"""Reads a safetensors file as another program would: NAME DTYPE SHAPE and then all values, a line a tensor.

With numpy where it is installed, else with the standard library alone.
"""
import json
import struct
import sys

try:
    import numpy
except ImportError:
    numpy = None

with open(sys.argv[1], "rb") as file:
    (size,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(size))
    data = file.read()
for name, entry in sorted(header.items()):
    if name == "__metadata__":
        continue
    begin, end = entry["data_offsets"]
    letter = {"F32": "f", "F64": "d"}[entry["dtype"]]
    if numpy:
        array = numpy.frombuffer(data[begin:end], "<" + {"f": "f4", "d": "f8"}[letter]).reshape(entry["shape"])
        values = array.ravel().tolist()
    else:
        values = struct.unpack(f"<{(end - begin) // struct.calcsize(letter)}{letter}", data[begin:end])
    print(name, entry["dtype"], *entry["shape"], ":", *(value.hex() for value in values))
