# What gdb prints for gradus' types: "tensor (2, 3) f32 [0.66, -1.2, ...] wants grad, op=mul". It reads memory and calls
# nothing in the program, so it works on a core file too. Load it with `source gradus-gdb.py`.
import struct

import gdb
import gdb.printing

SHOWN = 6  # numbers of a tensor


def first_member(value):
    """The only field of a struct: a std::array's elements, whatever its library calls them."""
    return value[value.type.strip_typedefs().fields()[0]]


def pointer_in(shared_ptr):
    """What a std::shared_ptr points to, in libstdc++ or libc++."""
    for name in ("_M_ptr", "__ptr_"):
        try:
            return shared_ptr[name]
        except gdb.error:
            pass
    raise gdb.error("a std::shared_ptr of an unknown library")


def shape_text(shape):
    sizes = first_member(shape["sizes_"])
    return "(" + ", ".join(str(int(sizes[i])) for i in range(int(shape["rank_"]))) + ")"


def dtype_text(dtype):
    return "f64" if int(dtype) == 1 else "f32"


def numbers_text(node):
    shape = node["shape"]
    sizes = first_member(shape["sizes_"])
    count = 1
    for i in range(int(shape["rank_"])):
        count *= int(sizes[i])
    block = node["data"]["block_"]
    if int(block) == 0:
        return "[no memory]"
    size, letter = (8, "d") if int(node["dtype"]) == 1 else (4, "f")
    n = min(count, SHOWN)
    start = int(block) + block.dereference().type.sizeof
    numbers = struct.unpack("=%d%s" % (n, letter), bytes(gdb.selected_inferior().read_memory(start, n * size)) if n else b"")
    texts = ["nan" if x != x else "%.4g" % x for x in numbers]
    return "[" + ", ".join(texts + (["..."] if count > SHOWN else [])) + "]"


def node_text(node):
    if not node.type.strip_typedefs().fields():
        raise gdb.error("the program's debug information lacks gradus::Node; with clang, build with -fstandalone-debug")
    parts = ["%s %s %s" % (shape_text(node["shape"]), dtype_text(node["dtype"]), numbers_text(node))]
    notes = []
    if node["requires_grad"]:
        notes.append("wants grad")
        if int(node["grad"]["block_"]) != 0:
            notes.append("has grad")
    op, within = node["op"].string(), node["within"].string()
    if op:
        notes.append("op=" + op + (" in " + within if within and within != op else ""))
    if node["released"]:
        notes.append("graph released")
    return " ".join(parts + ([", ".join(notes)] if notes else []))


class Printer:
    """Falls back to a sentence where a value cannot be read: optimized out, or not yet made."""

    def __init__(self, value, text):
        self.value, self.text = value, text

    def to_string(self):
        try:
            return self.text(self.value)
        except (gdb.error, UnicodeDecodeError) as problem:
            return "<cannot be read: %s>" % problem


def tensor_text(tensor):
    node = pointer_in(tensor["node_"])
    return "tensor undefined" if int(node) == 0 else "tensor " + node_text(node.dereference())


def register():
    printers = gdb.printing.RegexpCollectionPrettyPrinter("gradus")
    for name, text in (
        ("Tensor", tensor_text),
        ("Node", lambda node: "node " + node_text(node)),
        ("Shape", shape_text),
        ("DType", dtype_text),
    ):
        printers.add_printer(name, "^gradus::%s$" % name, lambda value, text=text: Printer(value, text))
    gdb.printing.register_pretty_printer(gdb.current_objfile(), printers, replace=True)


register()
