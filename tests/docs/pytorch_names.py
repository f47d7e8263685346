#!/usr/bin/env python3
"""PyTorch's names and what gradus has of them.

    pytorch_names.py --list    prints PyTorch's names that apply here; needs torch: store it as pytorch_names.txt
    pytorch_names.py --write   writes docs/pytorch-names.md from pytorch_names.txt and pytorch_names.def
    pytorch_names.py --check   fails unless every name has a row and the page is what --write writes
"""
import re
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = HERE / "pytorch_names.txt"
ROWS = HERE / "pytorch_names.def"
PAGE = HERE.parent.parent / "docs" / "pytorch-names.md"

MODULES = {
    "torch": "torch",
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "optim": "torch.optim",
    "lr_scheduler": "torch.optim.lr_scheduler",
    "init": "torch.nn.init",
}

# What does not apply to dense tensors of f32 and f64 on a CPU, and why. A name goes with the first group that fits.
LEFT_OUT = [
    ("types of Python and of TorchScript, storages, and other names with a capital letter in `torch`",
     {"torch"}, r"[A-Z].*|wait|wraps|fork|candidate|obj|range|classproperty|unify_type_list|import_ir_.*|parse_.*|"
     r"merge_type_.*|read_vitals|set_vital|vitals_enabled|typename|memory_format|layout|qscheme|dtype|device|"
     r"get_file_path|prepare_multiprocessing_environment|compiled_with_cxx11_abi|init_num_threads"),
    ("helpers of Python that the modules import or share", {"nn", "F", "lr_scheduler", "init", "optim"},
     r"Callable|DType|List|Optional|Tensor|Tuple|Union|Counter|bisect_right|wraps|factory_kwargs|Container|"
     r"assert_int_or_pair|boolean_dispatch|.*has_torch_function.*|handle_torch_function|RNNBase|RNNCellBase"),
    ("tensors changed in place, which no recorded op does here", {"torch", "F"}, r".*_"),
    ("old names of `init`, without the underscore", {"init"}, r"(?!calculate_gain).*[^_]"),
    ("sparse tensors", {"torch", "optim", "nn"}, r"sparse_.*|.*sparse.*|hspmm|hsmm|smm|dsmm|sspaddmm|saddmm|spmm|"
     r"(ccol|col|crow|row|values|indices)_.*copy|SparseAdam"),
    ("quantized tensors", {"torch"}, r"quantize.*|q_.*|int_repr|dequantize|fake_quantize.*|fbgemm.*|fused_moving.*|"
     r"choose_qparams.*|empty_quantized"),
    ("complex numbers", {"torch"}, r"complex|conj.*|real|imag|angle|polar|view_as_.*|is_complex|is_conj|"
     r"resolve_.*|is_neg|isreal|stft|istft|adjoint"),
    ("whole numbers and bits as elements", {"torch"}, r"bitwise_.*|gcd|lcm|iinfo|finfo|can_cast|promote_types|"
     r"result_type|is_signed|is_floating_point|frexp|nextafter"),
    ("other devices and the libraries behind ops", {"torch", "nn"}, r"cudnn.*|mkldnn.*|miopen.*|is_vulkan.*|"
     r"get_device|is_distributed|DataParallel|SyncBatchNorm|batch_norm_.+|autocast.*|.*autocast.*|native_.*|"
     r"set_float32_matmul.*|get_float32_matmul.*|set_flush_denormal"),
    ("native names of other names", {"F"},
     r"native_.*|.*_with_indices|upsample_.*|upsample|multi_head_attention_forward"),
    ("strides and copies of views (tensors are contiguous), bridges to other libraries, switches, and native names",
     {"torch"},
     r"(?!index_copy).*_copy|unsafe_.*|as_strided.*|align_tensors|empty_strided|alias.*|expand_copy|constant_pad_nd|"
     r"conv_tbc|convolution|"
     r"grid_sampler.*|affine_grid_generator|max_pool1d_with_indices|frobenius_norm|nuclear_norm|norm_except_dim|"
     r"(gru|lstm|rnn_relu|rnn_tanh)(_cell)?|embedding_renorm|feature_dropout|rsub|fill|is_inference.*|inference_mode|"
     r"from_dlpack|to_dlpack|from_file|frombuffer|asarray|as_tensor|from_numpy|is_same_size|is_tensor|is_storage|"
     r"scalar_tensor|segment_reduce|.*deterministic.*|.*warn_always.*|is_anomaly.*|set_default_tensor_type|"
     r"pca_lowrank|svd_lowrank|lobpcg|.*interop.*|put|index_put"),
    ("replaced by torch.linalg, and removed since", {"torch"}, r"eig|symeig|solve|lstsq|matrix_rank|lu|lu_.*|geqrf|"
     r"orgqr|ormqr|triangular_solve|chain_matmul|cholesky_.*|trapz|ger"),
    ("modules that learn their sizes at the first call, and deprecated ones", {"nn"},
     r"Lazy.*|Uninitialized.*|NLLLoss2d|CrossMapLRN2d"),
    ("three dimensions of space", {"torch", "nn", "F"}, r"(?!atleast).*3d"),
    ("convolutions over time first", {"F"}, r"conv_tbc"),
    ("schedulers and optimizers share it", {"lr_scheduler"}, r"Optimizer"),
]


def split():
    """What is left in, by module, and the groups left out with their counts."""
    import importlib
    kept, counts = [], [0] * len(LEFT_OUT)
    for short, module in MODULES.items():
        loaded = importlib.import_module(module)
        for name in dir(loaded):
            if name.startswith("_") or not callable(getattr(loaded, name)):
                continue
            for i, (_, modules, pattern) in enumerate(LEFT_OUT):
                if short in modules and re.fullmatch(pattern, name):
                    counts[i] += 1
                    break
            else:
                kept.append(f"{short} {name}")
    return kept, counts


def listing():
    kept, counts = split()
    lines = [f"# {count} left out: {reason}" for count, (reason, _, _) in zip(counts, LEFT_OUT)]
    return "\n".join(lines + kept) + "\n"


def rows():
    """(module, name) to (whether it is here, note, expression), and all mistakes in the table."""
    found, wrong = {}, []
    for line in ROWS.read_text().splitlines():
        if line.startswith("//"):
            continue
        row = re.fullmatch(r'(HAVE|NONE)\((\w+), (\w+), "(.*?)"(?:, (.*))?\)', line)
        if row is None or (row[1] == "HAVE") != (row[5] is not None):
            wrong.append(f"not a row: {line}")
            continue
        if (row[2], row[3]) in found:
            wrong.append(f"twice: {row[2]} {row[3]}")
        found[row[2], row[3]] = (row[1] == "HAVE", row[4], row[5])
    names = [tuple(line.split()) for line in NAMES.read_text().splitlines() if not line.startswith("#")]
    wrong += [f"no row: {module} {name}" for module, name in names if (module, name) not in found]
    wrong += [f"not in {NAMES.name}: {module} {name}" for module, name in found if (module, name) not in names]
    return found, wrong


def cell(text):
    return text.replace("|", "\\|")


def page():
    found, wrong = rows()
    if wrong:
        sys.exit("\n".join(wrong))
    same, other, none, counts = {}, [], [], []
    for short, module in MODULES.items():
        own = [(name, row) for (of, name), row in found.items() if of == short]
        same[module] = [n for n, (have, _, code) in own if have and re.search(rf"\b{n}\b", code)]
        for name, (have, note, code) in own:
            if have and name not in same[module]:
                other.append(f"| `{module}.{name}` | `{cell(code)}`{', ' * bool(note)}{cell(note)} |")
            elif not have:
                none.append(f"| `{module}.{name}` | {cell(note)} |")
        have = sum(row[0] for _, row in own)
        counts.append((f"`{module}`", len(own), len(same[module]), have - len(same[module]), have))
    counts.append(("all", *(sum(row[i] for row in counts) for i in range(1, 5))))
    lines = [
        "# PyTorch's names",
        "",
        "What gradus has of the names of PyTorch 1.13 that apply to dense tensors of f32 and f64 on a CPU, and what to",
        "write for the others. How the two differ is in [Coming from PyTorch](from-pytorch.md). The script",
        "`tests/docs/pytorch_names.py` makes this page, and a test compiles each expression.",
        "",
        "| module | names | the same name | another name | here |",
        "|---|---:|---:|---:|---:|",
        *(f"| {name} | {all_} | {a} | {b} | {100 * c / all_:.0f} % |" for name, all_, a, b, c in counts),
        "",
        "## The same name",
        "",
    ]
    for module, names in same.items():
        text = f"`{module}`: " + ", ".join(f"`{n}`" for n in names) + "."
        lines += [*textwrap.wrap(text, 120, break_on_hyphens=False), ""]
    lines += ["## Another name", "", "| PyTorch | gradus |", "|---|---|", *other, ""]
    lines += ["## Not here", "", "| PyTorch | instead |", "|---|---|", *none, ""]
    lines += ["## Names that do not apply", "", "| names | what they are |", "|---:|---|"]
    for line in NAMES.read_text().splitlines():
        left = re.fullmatch(r"# (\d+) left out: (.*)", line)
        if left:
            lines.append(f"| {left[1]} | {left[2]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print(listing(), end="")
    elif sys.argv[1:] == ["--write"]:
        PAGE.write_text(page())
    elif sys.argv[1:] == ["--check"]:
        if page() != PAGE.read_text():
            sys.exit(f"{PAGE.name} is not what the table says; run tests/docs/pytorch_names.py --write")
    else:
        sys.exit(__doc__)
