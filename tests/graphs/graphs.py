#!/usr/bin/python3
"""Random graphs, modules and optimizer programs against PyTorch, in f32 and f64 on every instruction set.

    graphs.py --seed 1 --graphs 2000 --modules 500 --programs 50 --paths 11   what `make graphs` runs
    graphs.py --case 1/graph/17                                    one case of a run, by its name
    graphs.py --write                                              the fixed set that `make test` runs: FIXED_SET
    graphs.py --check                                              whether PyTorch still writes the same fixed set

Each case is drawn from its own name, so a seed gives the same run whatever the number of processes. A case that fails
is shrunk, and printed as a test in C++. A file of cases is NAME.jsonl, a line each, and NAME.safetensors with the numbers:
CASE.in (inputs, exact in f32) and CASE.out (PyTorch's answers in f64), each one tensor after another. A line holds
    items   leaves {"shape", "grad"} and nodes {"op", "in", options}; a place in this list names a tensor
    outputs the places whose values are answers; then come the gradients of the leaves that want one
    steps   backward passes {"root", "weight" or "weight_is_grad_of", "retain"}
    shapes, f32, scales   of the answers: sizes, PyTorch's own error in f32, the largest value and gradient on the way
"""
import argparse
import concurrent.futures
import filecmp
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "reference"))
import generate  # noqa: E402

FIXED_SET = {"seed": "fixed", "graphs": 360, "modules": 120, "programs": 20}
SHARD = 100
TIMEOUT = 120  # seconds for a shard, which takes less than one


def case_of(name):
    """Draws the case of this name: SEED/KIND/NUMBER. Those of the fixed set are small."""
    from draw import draw_graph, draw_special
    from graph_modules import MODULES
    from graph_ops import OPS
    from programs import OPTIMIZERS, draw_program

    seed, kind, number = name.split("/")
    small = seed == FIXED_SET["seed"]
    rng, number = random.Random(name), int(number)
    if kind == "special":
        case = draw_special(rng, OPS, list(OPS)[number % len(OPS)])
        if case is None:
            return None
    elif kind in ("program", "path"):
        longest, shortest = (1000, 1000) if kind == "path" else (30 if small else 100, 20)
        case = draw_program(rng, list(OPTIMIZERS)[number % len(OPTIMIZERS)], longest, shortest)
    else:
        registry = OPS if kind == "graph" else {**OPS, **MODULES}
        focus = list(OPS if kind == "graph" else MODULES)
        case = draw_graph(rng, registry, focus[number % len(focus)], list(OPS), 100 if small else 400,
                          rng.choice([1, 1, 2, 3]) if kind == "module" or small else None)
    return {"name": name, **case}


def registry():
    from graph_modules import MODULES
    from graph_ops import OPS

    return {**OPS, **MODULES}


def numbers_of(case):
    import torch

    if "optimizer" in case:
        inputs = [x for part in case["values"] for x in part]
    else:
        inputs = [item["values"] for item in case["items"] if "op" not in item]
    return [torch.cat([x.flatten() for x in all_] or [torch.zeros(0)]).to(dtype)
            for all_, dtype in ((inputs, torch.float32), ([x.double() for x in case["answers"]], torch.float64))]


def line_of(case):
    line = {key: value for key, value in case.items() if key not in ("items", "values", "answers")}
    if "items" in case:
        line["items"] = [{key: value for key, value in item.items() if key != "values"} for item in case["items"]]
    else:
        line["params"] = line.pop("shapes")
    line["shapes"] = [list(x.shape) for x in case["answers"]]
    line["scales"] = [float(f"{x:.3g}") for x in case["scales"]]
    return json.dumps(line, separators=(",", ":"))


def write_cases(path, cases):
    from store import Store

    store = Store()
    for case in cases:
        inputs, answers = numbers_of(case)
        store.put(case["name"] + ".in", inputs)
        store.put(case["name"] + ".out", answers)
    Path(f"{path}.jsonl").write_text("".join(line_of(case) + "\n" for case in cases))
    store.write(f"{path}.safetensors")


# ---- running them

def judge(program, cases):
    """[wrong answers], {figures}: what the C++ program says. Where it ends badly, each case is run by itself."""
    if not cases:
        return [], {}
    with tempfile.TemporaryDirectory() as folder:
        write_cases(Path(folder) / "cases", cases)
        try:
            ran = subprocess.run([program, Path(folder) / "cases"], capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            ran = None
    if ran and ran.returncode == 0:
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        return lines[:-1], lines[-1]["figures"]
    if len(cases) > 1:
        half = len(cases) // 2
        first, second = judge(program, cases[:half]), judge(program, cases[half:])
        return first[0] + second[0], merged(first[1], second[1])
    what = f"the program ends with {ran.returncode}: {ran.stderr.strip()[-300:]}" if ran else f"no end in {TIMEOUT} s"
    return [{"case": cases[0]["name"], "isa": "", "dtype": "f64", "what": what, "subjects": [], "error": "crash",
             "limit": 0}], {}


def merged(a, b):
    result = dict(a)
    for subject, figure in b.items():
        before = result.get(subject, [0] * 5)
        result[subject] = [before[0] + figure[0]] + [max(x, y) for x, y in zip(before[1:], figure[1:])]
    return result


def prepare():
    import torch

    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False
    warnings.simplefilter("ignore")


def run_shard(program, names):
    prepare()
    return judge(program, [case for case in map(case_of, names) if case])


def run_all(options):
    counts = {"graph": options.graphs, "special": options.specials, "module": options.modules, "program": options.programs,
              "path": options.paths}
    names = [f"{options.seed}/{kind}/{k}" for kind, count in counts.items() for k in range(count)]
    shards = [names[k:k + SHARD] for k in range(0, len(names), SHARD)]
    wrong, figures = [], {}
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for some_wrong, some_figures in pool.map(run_shard, [options.program] * len(shards), shards):
            wrong += some_wrong
            figures = merged(figures, some_figures)
    return len(names), wrong, figures


# ---- what came out

def print_figures(figures):
    print(f"{'':36}answers   f64 error  of limit   f32 error  of limit")
    for subject, (answers, f32, f32_part, f64, f64_part) in sorted(figures.items()):
        print(f"{subject:36}{answers:7}   {f64:9.1e} {f64_part:9.2f}   {f32:9.1e} {f32_part:9.2f}")


def print_wrong(options, wrong):
    """One failing case after another, shrunk; those that shrink to the same ops stand together."""
    from shrink import kind_of, shrunk

    by_case = {}
    for one in wrong:
        by_case.setdefault(one["case"], []).append(one)
    seen, shrinking = Counter(), Counter()
    for name, answers in by_case.items():
        first = answers[0]
        sets = sorted({f"{one['isa']} {one['dtype']}" for one in answers})
        print(f"\n{name}: {len(answers)} wrong ({', '.join(sets)}); "
              f"{first['what']}: {first['error']}, limit {first['limit']:.1e}")
        fault = tuple(sorted({subject for one in answers for subject in one["subjects"]})) or (first["what"][:60],)
        shrinking[fault] += 1
        if shrinking[fault] > 2 or sum(seen.values()) >= options.shrink:
            continue
        case = shrunk(case_of(name), first, lambda cases: judge(options.program, cases)[0])
        kind = kind_of(case)
        seen[kind] += 1
        print(f"  shrinks to {kind}" + (", as another did" if seen[kind] > 1 else ""))
        if seen[kind] == 1:
            with tempfile.TemporaryDirectory() as folder:
                write_cases(Path(folder) / "case", [case])
                subprocess.run([options.program, Path(folder) / "case", "--case", case["name"], "--isa", first["isa"],
                                "--dtype", first["dtype"]], check=True)
    print(f"\n{len(by_case)} cases are wrong; those that were shrunk: {dict(seen)}")


def write_fixed(folder):
    prepare()
    cases = [case_of(f"{FIXED_SET['seed']}/{kind}/{k}")
             for kind in ("graph", "module", "program") for k in range(FIXED_SET[kind + "s"])]
    write_cases(folder / "fixed", cases)


def check_fixed():
    """As generate.py --check: SKIPPED where there is no PyTorch, or another one."""
    if not generate.can_judge(HERE / "fixed.safetensors"):
        return generate.SKIPPED
    with tempfile.TemporaryDirectory() as fresh:
        write_fixed(Path(fresh))
        changed = [name for name in ("fixed.jsonl", "fixed.safetensors")
                   if not filecmp.cmp(Path(fresh) / name, HERE / name, False)]
    print(f"changed: {', '.join(changed)}" if changed else "all as it is in tests/graphs")
    return 1 if changed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", default=str(int(time.time())), help="by default new graphs every time")
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--specials", type=int, default=0, help="single ops on infinities, NaN and the ends of f32: to be read, as the conventions differ")
    parser.add_argument("--modules", type=int, default=500)
    parser.add_argument("--programs", type=int, default=50)
    parser.add_argument("--paths", type=int, default=11, help="programs of 1000 steps, of one optimizer after another")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--shrink", type=int, default=10, help="how many failing cases to shrink")
    parser.add_argument("--program", default=str(HERE.parent.parent / "build/bin/graphs"))
    parser.add_argument("--case", help="only this case")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        return check_fixed()
    if options.write:
        write_fixed(HERE)
        return 0
    prepare()
    if options.case:
        wrong, figures = judge(options.program, [case_of(options.case)])
        print(line_of(case_of(options.case)))
        count = 1
    else:
        count, wrong, figures = run_all(options)
    print_figures(figures)
    if wrong:
        print_wrong(options, wrong)
    print(f"{count} cases of seed {options.seed}, {len({one['case'] for one in wrong})} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in generate.FIXED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **generate.FIXED})
    sys.exit(main())
