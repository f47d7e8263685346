#!/usr/bin/env python3
"""Times gradus and PyTorch on the same work, turn about, and writes docs/performance.md and docs/performance.json.

For every row: both sides warmed up, `rounds` turns each with 1 and with 2 threads, the median of a side's turns for
each number of threads, and the better of the two numbers. Usage: make bench-peers [ARGS="--filter REGEX"]
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
THREADS = (1, 2)


class Peer:
    """A process that answers `name threads seconds` with the median seconds and its peak memory."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def time(self, name, threads, seconds):
        print(name, threads, seconds, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        if not answer:
            sys.exit(f"compare.py: {self.process.args} stopped at {name}")
        return tuple(map(float, answer))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(name, threads, seconds):
    """Seconds, peak bytes and the share of the machine's limit (None where the benchmark reports none)."""
    program = {"step": "bench_step", "matmul": "bench_matmul"}.get(name.split("/")[0], "bench_kernels")
    command = [
        str(ROOT / "build/bin" / program),
        f"--benchmark_filter=^{name}/{threads}/",
        f"--benchmark_min_time={seconds / 5}",
        "--benchmark_repetitions=5",
        "--benchmark_report_aggregates_only=true",
        "--benchmark_format=json",
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = next(b for b in json.loads(output)["benchmarks"] if b["aggregate_name"] == "median")
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}[found["time_unit"]]
    return found["real_time"] * scale, found.get("peak MB", 0) * 2**20, found.get("of limit")


def compare(name, rounds, seconds):
    peer = Peer("/usr/bin/python3", str(ROOT / "benchmarks/peers/torch_peer.py"))
    row = {"name": name}
    for threads in THREADS:
        mine, theirs = [], []
        for _ in range(rounds):
            mine.append(ours(name, threads, seconds))
            theirs.append(peer.time(name, threads, seconds))
        row[f"gradus_{threads}"] = statistics.median(time for time, _, _ in mine)
        row[f"torch_{threads}"] = statistics.median(time for time, _ in theirs)
        row["gradus_peak"] = max([row.get("gradus_peak", 0), *(peak for _, peak, _ in mine)])
        row["torch_peak"] = max([row.get("torch_peak", 0), *(peak for _, peak in theirs)])
        shares = [share for _, _, share in mine if share is not None]
        if shares:
            row[f"share_{threads}"] = statistics.median(shares)
    peer.close()
    row["gradus"] = min(row["gradus_1"], row["gradus_2"])
    row["torch"] = min(row["torch_1"], row["torch_2"])
    row["ratio"] = row["torch"] / row["gradus"]
    return row


def time_text(seconds):
    for unit, scale in (("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 9999:
            return f"{seconds * scale:,.4g} {unit}"
    return f"{seconds:.3g} s"


def table(rows):
    lines = [
        "| work | gradus, 1 thread | 2 threads | PyTorch, 1 thread | 2 threads | best against best | of the limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = [time_text(row[key]) for key in ("gradus_1", "gradus_2", "torch_1", "torch_2")]
        share = f"{row['share_1']:.0%}" if "share_1" in row else ""
        lines.append("| " + " | ".join([row["name"], *times, f"{row['ratio']:.2f} x", share]) + " |")
    return "\n".join(lines)


def memory_table(rows):
    lines = ["| work | gradus | PyTorch |", "|---|---|---|"]
    for row in rows:
        if row["gradus_peak"] > 2**30:
            lines.append(f"| {row['name']} | {row['gradus_peak'] / 1e9:.2f} GB | {row['torch_peak'] / 1e9:.2f} GB |")
    return "\n".join(lines)


def names(filter_text):
    found = []
    for program in ("bench_step", "bench_kernels", "bench_matmul"):
        listing = subprocess.run(
            [str(ROOT / "build/bin" / program), "--benchmark_list_tests"], check=True, capture_output=True, text=True
        ).stdout
        found += re.findall(r"^(\S+)/1/real_time$", listing, re.MULTILINE)
    without_twin = re.compile(r"^forward/|_batch16$(?<!width64_context16_batch16)")
    return [name for name in found if not without_twin.search(name) and re.search(filter_text, name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", default="", help="only work whose name matches this regular expression")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn, at least")
    arguments = parser.parse_args()
    limits = arguments.filter or json.loads(
        subprocess.run(
            [str(ROOT / "build/bin/bench_limits"), "--benchmark_format=json"],
            check=True, capture_output=True, text=True,
        ).stdout
    )["benchmarks"]
    rows = []
    print(f"{'work':45} {'gradus 1':>12} {'2 threads':>12} {'PyTorch 1':>12} {'2 threads':>12}   best against best")
    for name in names(arguments.filter):
        rows.append(compare(name, arguments.rounds, arguments.seconds))
        times = [time_text(rows[-1][key]) for key in ("gradus_1", "gradus_2", "torch_1", "torch_2")]
        print(f"{name:45} {' '.join(f'{time:>12}' for time in times)} {rows[-1]['ratio']:7.2f} x", flush=True)
    if arguments.filter:
        return  # a part of the table would replace the whole
    processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    fma, read = ([l[k] for l in limits if k in l] for k in ("FLOP/s", "bytes/s"))
    (ROOT / "docs/performance.json").write_text(json.dumps({"limits": limits, "rows": rows}, indent=1) + "\n")
    template = (ROOT / "benchmarks/peers/performance.md.in").read_text()
    (ROOT / "docs/performance.md").write_text(template.format(
        processor=processor.group(1) if processor else "an unknown processor",
        fma_1=fma[0] / 1e9, fma_2=fma[1] / 1e9, read_1=read[0] / 1e9, read_2=read[1] / 1e9,
        steps=table([r for r in rows if r["name"].startswith("step/")]),
        kernels=table([r for r in rows if not r["name"].startswith(("step/", "matmul/"))]),
        products=table([r for r in rows if r["name"].startswith("matmul/")]),
        memory=memory_table(rows)))


if __name__ == "__main__":
    main()
