#!/usr/bin/env python3
"""Times gradus beside PyTorch, OpenBLAS and oneDNN, and writes docs/performance.md and docs/performance.json.

For every row: both sides warmed up, turn about, with 1 and with 2 threads; the median of a side's turns for each number
of threads, and the better of the two. Usage: make bench-peers [ARGS="--filter REGEX"]
"""
import argparse
import glob
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/bin"
THREADS = (1, 2)

# The goals: how often faster than PyTorch. LARGE rows also have to gain from the second thread.
TIMES_TORCH = {
    "step/xor": 15,  # against the C++ API
    "step/names_width16_batch1": 20,
    "step/layers1_width64_context16_batch16": 8,
    "step/shakespeare_layers4_width128": 3,
    "step/layers6_width384_context256_batch8": 1.7,
    "step/gpt2_124M_4x64": 2,
    "step/gpt2_124M_4x256": 1.8,
    "step/pinn_width32": 5,
    "step/eikonal_width64": 5,
    "forward_backward/attention_T1024": 3,
}
LARGE = re.compile(r"gpt2|layers6|attention|^matmul/(?!112x)")
OPS = ("softmax", "layer_norm", "gelu", "cross_entropy", "embedding")
MODES = ("forward", "backward", "forward_backward")
NAMES = {"step/names_width16_batch16": 6e-6, "step/names_width32_batch16": 12e-6, "step/names_width64_batch16": 35e-6}


def environment(isa=None):
    """OpenBLAS with OpenMP, the faster build under PyTorch, and all sides on the same instruction set."""
    result = dict(os.environ)
    folders = glob.glob("/usr/lib/*/openblas-openmp")
    result["LD_LIBRARY_PATH"] = ":".join([*folders, result.get("LD_LIBRARY_PATH", "")]).strip(":")
    if isa:
        result["GRADUS_ISA"] = isa
    if result.get("GRADUS_ISA") == "avx2":
        result.update(OPENBLAS_CORETYPE="Haswell", DNNL_MAX_CPU_ISA="AVX2", ATEN_CPU_CAPABILITY="avx2")
    return result


class Peer:
    """A process that answers `name threads seconds` with a line of JSON."""

    def __init__(self, *command, isa=None):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment(isa),
        )

    def time(self, name, threads, seconds):
        print(name, threads, seconds, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"{self.process.args} stopped at {name}"}
        if "error" in answer:
            sys.exit("compare.py: " + answer["error"])
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def gradus(name, isa=None):
    suites = {"step": "bench_step", "matmul": "bench_matmul", "generate": "bench_generate"}
    return Peer(BIN / suites.get(name.split("/")[0], "bench_kernels"), "--serve", isa=isa)


def torch(name=""):
    if name == "step/xor":
        return Peer(BIN / "peer_libtorch")
    return Peer("/usr/bin/python3", ROOT / "benchmarks/peers/torch_peer.py")


class Limits:
    """The best that the probes have shown in this run: they are asked again before every part of it."""

    def __init__(self):
        self.best = {}

    def measure(self, isa=None):
        text = subprocess.run(
            [str(BIN / "bench_limits"), "--benchmark_format=json"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(isa),
        ).stdout
        for found in json.loads(text)["benchmarks"]:
            kind, threads = re.match(r"limit/(\w+)/(\d)", found["name"]).groups()
            key = (isa + " " if isa and kind == "fma" else "") + f"{kind} {threads}"
            rate = found.get("FLOP/s") or found.get("bytes/s")
            self.best[key] = max(rate, self.best.get(key, 0))

    def seconds(self, row, threads, isa=None):
        """What the row takes at the limit; None if it has none."""
        if row.get("flops"):
            return row["flops"] / self.best[(isa + " " if isa else "") + f"fma {threads}"]
        return row["bytes"] / self.best[f"read {threads}"] if row.get("bytes") else None


def compare(name, with_torch, seconds):
    """A row: turns of gradus and PyTorch with 1 and 2 threads; more of them where a run is short."""
    row, times = {"name": name}, {}
    with gradus(name) as mine:
        theirs = torch(name) if with_torch else None
        sides = [("gradus", mine)] + ([("torch", theirs)] if theirs else [])
        turn = 0
        rounds = 5
        while turn < rounds:
            for threads in THREADS:
                for side, peer in sides:
                    answer = peer.time(name, threads, seconds)
                    times.setdefault(f"{side}_{threads}", []).append(answer["seconds"])
                    row[f"{side}_peak"] = answer["peak"]
                    row.update({key: answer[key] for key in ("flops", "bytes", "count") if key in answer})
            turn += 1
            if min(times["gradus_1"]) < 0.02:
                rounds = 11
        if theirs:
            theirs.__exit__()
    row.update({key: statistics.median(values) for key, values in times.items()})
    row["gradus"] = min(row["gradus_1"], row["gradus_2"])
    row["speedup"] = row["gradus_1"] / row["gradus_2"]
    if with_torch:
        row["torch"] = min(row["torch_1"], row["torch_2"])
        row["ratio"] = row["torch"] / row["gradus"]
    print(f"{name:45} {row['gradus'] * 1e3:12.4f} ms " + (f"{row['ratio']:8.2f} x" if with_torch else ""), flush=True)
    return row


def compare_product(name, seconds, isa=None):
    row = {"name": name}
    for library in ("openblas", "onednn"):
        with Peer(BIN / "peer_blas", library, isa=isa) as peer:
            for threads in THREADS:
                answer = peer.time(name, threads, seconds)
                row[f"{library}_{threads}"] = answer["theirs"]
                row[f"{library}_ratio_{threads}"] = answer["theirs"] / answer["seconds"]
                row["flops"] = answer["flops"]
                row.setdefault(f"all_{threads}", []).append(answer["seconds"])
    for threads in THREADS:
        row[f"gradus_{threads}"] = statistics.median(row.pop(f"all_{threads}"))
    row["speedup"] = row["gradus_1"] / row["gradus_2"]
    print(f"{name:45} {row['openblas_ratio_1']:8.2f} x OpenBLAS {row['onednn_ratio_1']:8.2f} x oneDNN", flush=True)
    return row


def attention_memory():
    """Peak memory of a process that runs the op forward and backward once, for growing lengths."""
    rows = []
    for length in (1024, 2048, 4096):
        name, row = f"forward_backward/attention_T{length}", {"length": length}
        for side, make in (("gradus", lambda: gradus(name)), ("torch", torch)):
            if side == "torch" and length > 2048:
                continue  # its weights alone would be 3 GB, several times over
            with make() as peer:
                row[side] = peer.time(name, 2, 0)["peak"]
        rows.append(row)
    return rows


def build():
    """The library: seconds for a clean build with two jobs and no cache, and its size without symbols. The XOR program of
    tests/install/app: seconds to compile it against the installed headers, and its size, linked with the shared ones."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_COMPILER_LAUNCHER=", "-DBUILD_SHARED_LIBS=ON"]
        options += [f"-DGRADUS_BUILD_{part}=OFF" for part in ("TESTS", "EXAMPLES", "BENCHMARKS")]
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        subprocess.run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *options], **quiet)
        start = time.perf_counter()
        subprocess.run(["cmake", "--build", folder, "-j", "2"], **quiet)
        seconds = time.perf_counter() - start
        libraries = [path for path in pathlib.Path(folder).rglob("libgradus_*.so*") if not path.is_symlink()]
        subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)

        prefix, app = pathlib.Path(folder) / "prefix", pathlib.Path(folder) / "app"
        subprocess.run(["cmake", "--install", folder, "--prefix", prefix], **quiet)
        library = next(prefix.rglob("libgradus_core.so")).parent
        source = ROOT / "tests/install/app/app.cpp"
        compiling = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run(["c++", "-std=c++20", "-O2", f"-I{prefix}/include", "-c", source, "-o", f"{app}.o"], check=True)
            compiling.append(time.perf_counter() - start)
        subprocess.run(["c++", "-s", f"{app}.o", "-o", app, f"-L{library}", f"-Wl,-rpath,{library}", "-lgradus_models",
                        "-lgradus_nn", "-lgradus_core", "-lfmt"], check=True)
        subprocess.run([app], **quiet)
        return {"seconds": seconds, "bytes": sum(path.stat().st_size for path in libraries),
                "app_seconds": statistics.median(compiling), "app_bytes": app.stat().st_size}


def time_text(seconds):
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 9999:
            return f"{seconds * scale:,.4g} {unit}"
    return f"{seconds:.3g} s"


def size_text(size):
    return f"{size / 1e9:.2f} GB"


def bar(text, met):
    return f"{text}: {'met' if met else '**not met**'}"


def threads_bar(row):
    wanted = 0.98
    if LARGE.search(row["name"]):
        wanted = 1.85 if row["name"].startswith("matmul") else 1.8
    return f"{row['speedup']:.2f}" + ("" if row["speedup"] >= wanted else f" (**below {wanted}**)")


def table(head, rows):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]) if rows else "-"


def torch_table(rows, limits, bytes_bar=False):
    lines = []
    for row in rows:
        bars, share = [], ""
        threads = 1 if row["gradus_1"] <= row["gradus_2"] else 2
        at_limit = limits.seconds(row, threads)
        if at_limit:
            share = f"{at_limit / row['gradus']:.0%}"
        if bytes_bar and row.get("bytes"):
            bars.append(bar("1.25 x bytes", row["gradus"] <= 1.25 * at_limit))
            bars.append(bar("2 x PyTorch", row["ratio"] >= 2))
        elif row["name"] in TIMES_TORCH:
            wanted = TIMES_TORCH[row["name"]]
            bars.append(bar(f"{wanted} x", row["ratio"] >= wanted))
            if at_limit and row["ratio"] < wanted:
                bars.append(f"the limit allows {row['torch'] / at_limit:.2f} x")
        cells = [time_text(row[key]) for key in ("gradus_1", "gradus_2", "torch_1", "torch_2")]
        lines.append([row["name"], *cells, f"{row['ratio']:.2f} x", share, threads_bar(row), "; ".join(bars)])
    return table(
        ["work", "gradus, 1 thread", "2 threads", "PyTorch, 1 thread", "2 threads", "best against best",
         "of the limit", "2 threads against 1", "bar"], lines)


def product_table(rows, limits, isa=None):
    lines = []
    for row in rows:
        share = limits.seconds(row, 1, isa) / row["gradus_1"]
        square = re.search(r"/(512x512x512|1024x1024x1024)_", row["name"])
        wanted = 0.85 if square and not isa else 0.8
        ahead = [row[f"{library}_ratio_1"] for library in ("openblas", "onednn")]
        bars = [] if "112x" in row["name"] else [bar(f"{wanted:.0%}", share >= wanted)]
        if not isa:
            bars.append(bar("ahead of both", min(ahead) > 1))
        lines.append([row["name"].removeprefix("matmul/"), time_text(row["gradus_1"]),
                      f"{row['flops'] / row['gradus_1'] / 1e9:.0f}", f"{share:.0%}",
                      *(f"{row[f'{library}_ratio_{threads}']:.2f} x"
                        for threads in THREADS for library in ("openblas", "onednn")),
                      threads_bar(row), "; ".join(bars)])
    return table(
        ["product", "gradus, 1 thread", "GFLOP/s", "of the limit", "against OpenBLAS", "against oneDNN",
         "OpenBLAS, 2 threads", "oneDNN, 2 threads", "2 threads against 1", "bar"], lines)


def each_table(rows, limits):
    """Work of gradus alone, for one of what it counts: names on one thread, tokens, ops."""
    lines = []
    for row in rows:
        each, text = row["gradus_1"] / row["count"], ""
        if row["name"] in NAMES:
            text = bar(f"{time_text(NAMES[row['name']])} a name", each <= NAMES[row["name"]])
        elif row["name"].startswith("generate"):
            threads = 1 if row["gradus_1"] <= row["gradus_2"] else 2
            share = limits.seconds(row, threads) / row["gradus"]
            text = f"{row['count'] / row['gradus']:.1f} tokens/s, " + bar(f"{share:.0%} of 80%", share >= 0.8)
        else:
            text = bar("200 ns an op", each < 200e-9)
        lines.append([row["name"], time_text(each), time_text(row["gradus_2"] / row["count"]), threads_bar(row), text])
    return table(["work", "for one, 1 thread", "2 threads", "2 threads against 1", "bar"], lines)


def memory_table(rows):
    lines = [
        [row["name"], size_text(row["gradus_peak"]), size_text(row["torch_peak"]),
         bar("no more", row["gradus_peak"] <= row["torch_peak"])]
        for row in rows if "gpt2" in row["name"]
    ]
    return table(["work", "gradus", "PyTorch", "bar"], lines)


def attention_table(rows):
    lines = [[str(row["length"]), size_text(row["gradus"]), size_text(row["torch"]) if "torch" in row else "not run"]
             for row in rows]
    return table(["T", "gradus", "PyTorch"], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", default="", help="only work whose name matches this regular expression; no files")
    parser.add_argument("--seconds", type=float, default=0.2, help="of each turn, at least")
    arguments = parser.parse_args()
    begin = time.time()

    def chosen(names):
        return [name for name in names if re.search(arguments.filter, name)]

    limits, result = Limits(), {}

    def part(key, names, measure):
        names = chosen(names)
        if names:
            limits.measure()
            result[key] = [measure(name) for name in names]

    listing = subprocess.run([str(BIN / "bench_matmul"), "--benchmark_list_tests"], check=True, capture_output=True,
                             text=True).stdout
    products = re.findall(r"^(\S+)/1/manual_time$", listing, re.MULTILINE)
    seconds = arguments.seconds
    part("products", products, lambda name: compare_product(name, 2 * seconds))
    # On a machine with more, AVX2 by force as well.
    wide = "avx512f" in pathlib.Path("/proc/cpuinfo").read_text() and "GRADUS_ISA" not in os.environ
    if wide and chosen(products):
        limits.measure("avx2")
        result["products_avx2"] = [compare_product(name, 2 * seconds, "avx2") for name in chosen(products)]
    part("ops", [f"{mode}/{op}" for op in OPS for mode in MODES] + ["update/adamw_and_clip"],
         lambda name: compare(name, True, seconds))
    part("attention", [f"{mode}/attention_T1024" for mode in MODES], lambda name: compare(name, True, seconds))
    steps = [name for name in TIMES_TORCH if name.startswith("step/")]
    if not (BIN / "peer_libtorch").exists():
        print("compare.py: no step/xor, since libtorch-dev was not there when this was built", file=sys.stderr)
        steps.remove("step/xor")
    part("steps", steps,
         lambda name: compare(name, True, seconds))
    part("alone", [*NAMES, "generate/gpt2_124M", "engine/overhead"], lambda name: compare(name, False, seconds))
    if chosen(["memory/attention"]):
        result["attention_memory"] = attention_memory()
    if chosen(["build"]):
        result["build"] = build()
    limits.measure()
    result["limits"] = limits.best

    def rows(key):
        return result.get(key, [])

    made = result.get("build")
    sections = {
        "steps": torch_table(rows("steps"), limits),
        "memory": memory_table(rows("steps")),
        "alone": each_table(rows("alone"), limits),
        "kernels": torch_table(rows("ops"), limits, bytes_bar=True),
        "attention": torch_table(rows("attention"), limits),
        "attention_memory": attention_table(rows("attention_memory")),
        "products": product_table(rows("products"), limits),
        "products_avx2": product_table(rows("products_avx2"), limits, "avx2") if rows("products_avx2")
        else "Not measured apart: in this run no wider instruction set was there, or GRADUS_ISA was set.",
        "build": table(["", "measured", "bar"], [
            ["clean build of the library, two jobs, no cache", f"{made['seconds']:.0f} s",
             bar("90 s", made["seconds"] < 90)],
            ["shared libraries (core, nn, models), stripped", f"{made['bytes'] / 1e6:.2f} MB", bar("4 MB", made["bytes"] < 4e6)],
            ["compiling tests/install/app against the installed headers, -O2", f"{made['app_seconds']:.2f} s",
             bar("3 s (libtorch 1.13: 22 s)", made["app_seconds"] < 3)],
            ["that program, stripped", f"{made['app_bytes'] / 1e3:.0f} KB", bar("4 MB", made["app_bytes"] < 4e6)],
        ] if made else []),
    }
    if arguments.filter:  # a part of the page would replace the whole
        print("\n\n".join(text for text in sections.values() if text != "-"))
        return
    processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    rates = {key.replace(" ", "_"): value / 1e9 for key, value in limits.best.items()}
    template = (ROOT / "benchmarks/peers/performance.md.in").read_text()
    page = template.format(
        processor=processor.group(1) if processor else "an unknown processor", cores=os.cpu_count(),
        date=time.strftime("%Y-%m-%d", time.gmtime(begin)), minutes=(time.time() - begin) / 60,
        isa=os.environ.get("GRADUS_ISA", "the best that the processor has"), **rates, **sections)
    (ROOT / "docs/performance.json").write_text(json.dumps(result, indent=1) + "\n")
    (ROOT / "docs/performance.md").write_text(page)


if __name__ == "__main__":
    main()
