"""Makes a failing case smaller while it still fails: cuts what stands before or after, shortens dimensions, leaves out
backward passes and gradients, rounds values; of an optimizer's program steps, parameters and parts."""
import copy
import math

import torch

from draw import answer, largest
from graph_modules import MODULES
from graph_ops import OPS
from programs import answer_program

REGISTRY = {**OPS, **MODULES}
PARTS = ("clip", "schedule", "plateau", "ema")
PLACES = ("root", "weight", "weight_is_grad_of")


def kind_of(case):
    """The ops that are left: what two failures have in common."""
    if "items" not in case:
        return case["optimizer"]
    kind = " + ".join(sorted(item["op"] for item in case["items"] if "op" in item)) or "a leaf"
    return kind + (", weighted with a gradient" if any("weight_is_grad_of" in step for step in case["steps"]) else "")


def cleaned(case):
    """The case without items that nothing uses."""
    needed = set(case["outputs"]) | {step[key] for step in case["steps"] for key in PLACES if key in step}
    for place in range(len(case["items"]) - 1, -1, -1):
        if place in needed:
            needed.update(case["items"][place].get("in", []))
    kept = sorted(needed)
    new = {old: place for place, old in enumerate(kept)}
    items = []
    for old in kept:
        item = dict(case["items"][old])
        if "op" in item:
            item["in"] = [new[i] for i in item["in"]]
        items.append(item)
    steps = [{key: new[value] if key in PLACES else value for key, value in step.items()} for step in case["steps"]]
    return {"name": case["name"], "coarse": case["coarse"], "items": items, "steps": steps,
            "outputs": [new[i] for i in case["outputs"]]}


def values_of(case):
    values = []
    for item in case["items"]:
        values.append(item["values"] if "op" not in item else
                      REGISTRY[item["op"]].torch([values[i] for i in item["in"]], item))
    return values


def cuts(case):
    """A node becomes a leaf with its value; or it becomes what is run backward, and all later nodes go."""
    values = values_of(case)
    for place, item in enumerate(case["items"]):
        if "op" not in item:
            continue
        cut = copy.copy(case)
        cut["items"] = list(case["items"])
        cut["items"][place] = {"shape": list(values[place].shape), "grad": True,
                               "values": ((values[place] * 16384).round() / 16384).float().double()}
        yield cut
        end = copy.copy(case)
        weight = {"shape": list(values[place].shape), "grad": False, "values": torch.ones_like(values[place])}
        end["items"] = case["items"][:place + 1] + [weight]
        end["steps"] = [{"root": place, "weight": place + 1, "retain": False}]
        end["outputs"] = [place]
        yield end
    for place, item in enumerate(case["items"]):
        for other in sorted(set(item.get("in", []))):
            if values[place].shape == values[other].shape:
                yield replaced(case, place, other)


def replaced(case, place, other):
    """The case with `other` wherever `place` was used."""
    without = copy.deepcopy(case)
    for item in without["items"]:
        if "op" in item:
            item["in"] = [other if i == place else i for i in item["in"]]
    without["outputs"] = [other if i == place else i for i in case["outputs"]]
    for step in without["steps"]:
        step["root"] = other if step["root"] == place else step["root"]
    return without


def fewer(case):
    """Without one of the passes, one of the outputs, or one leaf's gradient."""
    for k in range(len(case["steps"])):
        if len(case["steps"]) > 1:
            yield {**case, "steps": case["steps"][:k] + case["steps"][k + 1:]}
        if "weight_is_grad_of" not in case["steps"][k] and case["steps"][k].get("retain"):
            steps = copy.deepcopy(case["steps"])
            steps[k]["retain"] = False
            if k + 1 == len(steps):
                yield {**case, "steps": steps}
    for k in range(len(case["outputs"])):
        yield {**case, "outputs": case["outputs"][:k] + case["outputs"][k + 1:]}
    for place, item in enumerate(case["items"]):
        if item.get("grad"):
            yield {**case, "items": case["items"][:place] + [{**item, "grad": False}] + case["items"][place + 1:]}


def smaller_sizes(case):
    """Every dimension of one size becomes shorter, in all leaves and options at once."""
    sizes = {size for item in case["items"] if "op" not in item for size in item["shape"] if size > 1}
    for size in sorted(sizes, reverse=True):
        for less in sorted({1, 2, size // 2, size - 1} - {0, size}):
            shorter = copy.copy(case)
            shorter["items"] = [resized(item, size, less) for item in case["items"]]
            yield shorter
    for place, item in enumerate(case["items"]):
        for d, size in enumerate(item["shape"] if "op" not in item else []):
            for less in sorted({1, 2, size // 2, size - 1}):
                if 0 < less < size:
                    shape = [less if k == d else n for k, n in enumerate(item["shape"])]
                    one = {**item, "shape": shape, "values": item["values"].narrow(d, 0, less).clone()}
                    yield {**case, "items": case["items"][:place] + [one] + case["items"][place + 1:]}


def resized(item, size, less):
    item = dict(item)
    if "op" in item:
        for key in ("shape", "lengths"):
            if key in item:
                item[key] = [less if n == size else n for n in item[key]]
        for key in ("hidden", "out", "kv_dim", "end"):
            item[key] = less if item.get(key) == size else item.get(key)
        if "targets" in item:
            item["targets"] = [target if target < 0 else min(target, less - 1) for target in item["targets"]]
        return {key: value for key, value in item.items() if value is not None}
    index = tuple(slice(less) if n == size else slice(None) for n in item["shape"])
    values = item["values"][index].clone()
    return {**item, "shape": list(values.shape), "values": values}


def rounder(case):
    """Values with fewer digits."""
    for f in (torch.ones_like, torch.sign, torch.round, lambda x: (x * 4).round() / 4):
        for place, item in enumerate(case["items"]):
            if "op" in item:
                continue
            values = f(item["values"])
            if not torch.equal(values, item["values"]) and largest(item["values"] - item["values"].round()) > 0 or \
                    (f is torch.ones_like and not torch.equal(values, item["values"])):
                yield {**case, "items": case["items"][:place] + [{**item, "values": values}] + case["items"][place + 1:]}


def simpler_programs(case):
    """Fewer steps, without one of the parameters, without clipping, schedule, plateau or average."""
    for steps in sorted({1, 2, case["steps"] // 2, case["steps"] - 1}):
        if 0 < steps < case["steps"]:
            plateau = case["plateau"] and {**case["plateau"], "metrics": case["plateau"]["metrics"][:steps]}
            yield {**case, "steps": steps, "waves": case["waves"][:steps], "present": case["present"][:steps],
                   "plateau": plateau}
    for key in PARTS:
        if case[key] is not None:
            yield {**case, key: None}
    for gone in range(len(case["shapes"]) if len(case["shapes"]) > 1 else 0):
        kept = [i for i in range(len(case["shapes"])) if i != gone]
        groups = [{**group, "params": [kept.index(i) for i in group["params"] if i != gone]} for group in case["groups"]]
        yield {**case, "shapes": [case["shapes"][i] for i in kept],
               "groups": [group for group in groups if group["params"]],
               "values": [[part[i] for i in kept] for part in case["values"]],
               "present": [[row[i] for i in kept] for row in case["present"]]}


def fits(case):
    """Whether PyTorch has answers for it."""
    try:
        return bool(answer_program(case) if "optimizer" in case else answer(case, REGISTRY))
    except (RuntimeError, ArithmeticError, LookupError, ValueError, TypeError):
        return False


def is_same(one, fault):
    """Wrong on the same instruction set in the same type, and refused or not as before."""
    return one["error"] == fault["error"] == "crash" or \
        ((one["isa"], one["dtype"]) == (fault["isa"], fault["dtype"]) and bool(one["subjects"]) == bool(fault["subjects"]))


def shrunk(case, fault, judge):
    """`judge` gives the wrong answers of many cases at once; a case counts as failing if it is wrong where `fault` was."""
    for _ in range(60):
        candidates = []
        for part in (cuts, fewer, smaller_sizes, rounder) if "items" in case else (simpler_programs,):
            for candidate in part(case):
                candidate = cleaned(candidate) if "items" in case else candidate
                if fits(candidate):
                    candidates.append({**candidate, "name": f"{case['name'].split('#')[0]}#{len(candidates)}"})
                if len(candidates) >= 60:
                    break
            failing = {one["case"] for one in judge(candidates) if is_same(one, fault)}
            smallest = min((c for c in candidates if c["name"] in failing), key=weight_of, default=None)
            if smallest is not None and weight_of(smallest) < weight_of(case):
                case = smallest
                break
            candidates = []
        else:
            return case
    return case


def weight_of(case):
    """Fewer ops first, then fewer numbers, then rounder ones; of programs fewer steps, parameters and parts."""
    if "items" not in case:
        return case["steps"], len(case["shapes"]), sum(case[key] is not None for key in PARTS)
    leaves = [item for item in case["items"] if "op" not in item]
    numbers = torch.cat([item["values"].flatten() for item in leaves]) if leaves else torch.zeros(0)
    return (sum("op" in item for item in case["items"]), sum(math.prod(item["shape"]) for item in leaves),
            len(case["steps"]) + len(case["outputs"]) + sum(item["grad"] for item in leaves),
            int((numbers != numbers.round()).sum()), int((numbers != 1).sum()))
