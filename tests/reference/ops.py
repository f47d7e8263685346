"""Every row of tests/core/ops/op_table.cpp in PyTorch, under the row's name. `@` leads to further inputs for the same row:
other sizes, or (`@edge_..`) places where differences cannot judge a gradient: kinks, ties, infinities."""
import math
import random

import torch
from torch.nn import functional as F

from store import values

INF = float("inf")


def unary(store):
    cases = [
        ("neg", "", lambda x: -x, "any"),
        ("exp", "", torch.exp, "any"), ("exp", "wide", torch.exp, "low"),
        ("log", "", torch.log, "positive"),
        ("sqrt", "", torch.sqrt, "positive"),
        ("abs", "", torch.abs, "nonzero"),
        ("sin", "", torch.sin, "any"), ("sin", "wide", torch.sin, "wide"),
        ("cos", "", torch.cos, "any"), ("cos", "wide", torch.cos, "wide"),
        ("tanh", "", torch.tanh, "any"), ("tanh", "wide", torch.tanh, "wide"),
        ("sigmoid", "", torch.sigmoid, "any"), ("sigmoid", "wide", torch.sigmoid, "wide"),
        ("relu", "", F.relu, "nonzero"),
        ("silu", "", F.silu, "any"), ("silu", "wide", F.silu, "wide"),
        ("softplus", "", lambda x: F.softplus(x, threshold=1e6), "any"),
        ("softplus", "wide", lambda x: F.softplus(x, threshold=1e6), "wide"),
        ("gelu_erf", "", F.gelu, "any"), ("gelu_erf", "wide", F.gelu, "wide"),
        ("gelu_tanh", "", lambda x: F.gelu(x, approximate="tanh"), "any"),
        ("gelu_tanh", "wide", lambda x: F.gelu(x, approximate="tanh"), "wide"),
        ("pow", "minus_one_and_a_half", lambda x: torch.pow(x, -1.5), "positive"),
        ("pow", "square", lambda x: torch.pow(x, 2), "any"),
        ("pow", "cube_of_any_sign", lambda x: torch.pow(x, 3), "nonzero"),
        ("pow", "inverse", lambda x: torch.pow(x, -1), "nonzero"),
        ("pow", "zero", lambda x: torch.pow(x, 0), "any"),
        ("pow", "one", lambda x: torch.pow(x, 1), "any"),
        ("clamp", "", lambda x: torch.clamp(x, -0.75, 1.25), "any"),
    ]
    edges = {  # 0, the bounds of clamp, and far out on both sides
        "abs": [0, -0.0, 1, -1], "relu": [0, -0.0, 1, -1], "clamp": [-0.75, 1.25, -0.8125, 1.3125],
        "pow_square": [0, -0.0, -3], "pow_one": [0, 5], "pow_zero": [0, -3], "pow_cube_of_any_sign": [0, -3],
        "softplus": [-60, 60, 0], "tanh": [-100, 100, 0], "sigmoid": [-60, 60, 0], "silu": [-60, 60, 0],
        "gelu_erf": [-30, 30, 0], "gelu_tanh": [-30, 30, 0],
        "exp": [-INF, 0, -80], "log": [2.0**-100, 2.0**100, 1], "sqrt": [2.0**-100, 2.0**100],
    }
    for op, variant, f, domain in cases:
        name = f"{op}_{variant}" if variant else op
        store.case(name, f, [values(name, (3, 1, 7), domain)])
        store.case(f"{name}@2x17", f, [values(f"{name}@2x17", (2, 17), domain)])
        if name in edges:
            store.case(f"{name}@edge", f, [torch.tensor(edges[name], dtype=torch.float64)])
    store.case("tanh_of_one_number", torch.tanh, [values("tanh_of_one_number", ())])


FORMS = {
    "equal": ((3, 7), (3, 7)),
    "equal@2x17": ((2, 17), (2, 17)),
    "one_number_right": ((3, 7), ()),
    "one_number_left": ((), (2, 5)),
    "row_right": ((4, 7), (7,)),
    "row_right@3x33": ((3, 33), (33,)),
    "row_left": ((1, 5), (2, 3, 5)),
    "column_right": ((3, 5), (3, 1)),
    "column_times_row": ((3, 1), (1, 4)),
    "row_times_column": ((1, 4), (3, 1)),
    "leading_dimension": ((3, 4), (2, 3, 4)),
    "middle_dimension": ((2, 3, 4), (2, 1, 4)),
    "crossed": ((2, 1, 3, 1), (4, 1, 5)),
    "both_repeated": ((1, 3), (1, 3)),
}


def binary(store):
    cases = [
        ("add", torch.add, "any", "any"),
        ("sub", torch.sub, "any", "any"),
        ("mul", torch.mul, "any", "any"),
        ("div", torch.div, "any", "nonzero"),
        ("maximum", torch.maximum, "any", "any"),
        ("minimum", torch.minimum, "any", "any"),
        ("pow", torch.pow, "positive", "any"),
    ]
    for op, f, *domains in cases:
        for form, shapes in FORMS.items():
            name = f"{op}_{form}"
            store.case(name, f, [values(f"{name}{i}", shapes[i], domains[i]) for i in (0, 1)])
    ties = torch.tensor([1, 2, -3, 0, -INF, INF], dtype=torch.float64), \
        torch.tensor([1, 1, -3, -0.0, 4, 4], dtype=torch.float64)
    store.case("maximum_equal@edge_ties", torch.maximum, ties)
    store.case("minimum_equal@edge_ties", torch.minimum, ties)
    store.case("pow_equal@edge_zero", torch.pow, [torch.tensor([0, 0, 0, 3, -2, 1], dtype=torch.float64),
                                                  torch.tensor([2, 1, 0, 0, 3, -2], dtype=torch.float64)])

    store.case("mul_by_itself", lambda x: x * x, [values("mul_by_itself", (3, 7))])
    name = "div_plain_numbers_on_both_sides"
    store.case(name, lambda x: 3.0 / (1.5 - x * 0.5 + 2.0) - 1.0, [values(name, (2, 5))])
    for variant, *shapes in [("equal", (3, 7), (3, 7), (3, 7)), ("all_broadcast", (3, 1), (7,), (2, 1, 1)),
                             ("one_number", (3, 7), (), (3, 7))]:
        name = f"where_{variant}"
        x = [values(f"{name}{i}", shape, "any" if i else "flags") for i, shape in enumerate(shapes)]
        store.case(name, lambda c, a, b: torch.where(c != 0, a, b), x, constants=["0"])
    for variant, before, after in [("rows", (1, 5), (3, 5)), ("one_number", (), (2, 3)), ("same", (2, 3), (2, 3))]:
        name = f"broadcast_to_{variant}"
        store.case(name, lambda x: torch.broadcast_to(x, after).clone(), [values(name, before)])


def shape(store):
    def one(name, f, *shapes, domain="any"):
        store.case(name, f, [values(f"{name}{i}", shape, domain) for i, shape in enumerate(shapes)])

    for at in ("", "@2x17"):
        one(f"clone{at}", lambda x: x.clone(), (2, 17) if at else (3, 7))
    for at in ("", "@6x17"):
        one(f"reshape{at}", lambda x: x.reshape(2, -1, 1), (6, 17) if at else (3, 4))
    for variant, size, dims in [("two", (3, 5), (1, 0)), ("two@17x19", (17, 19), (1, 0)),
                                ("three", (2, 3, 4), (2, 0, 1)), ("four", (2, 3, 4, 5), (0, 2, 1, 3)),
                                ("identity", (2, 3), (0, 1)), ("negative_dims", (2, 3, 4), (-2, 0, -1))]:
        one(f"permute_{variant}", lambda x: x.permute(dims).contiguous(), size)
    one("transpose_last_two", lambda x: x.transpose(-2, -1), (2, 3, 4))
    one("transpose_outer", lambda x: x.transpose(0, 2), (2, 3, 4))
    one("slice_rows", lambda x: x[1:4], (5, 3))
    one("slice_columns", lambda x: x[..., x.size(-1) // 3:], (2, 3, 6))
    one("slice_columns@2x3x17", lambda x: x[..., x.size(-1) // 3:], (2, 3, 17))
    one("slice_middle", lambda x: x[:, 2:3], (2, 5, 3))
    one("concat_rows", lambda *x: torch.cat(x), (2, 3), (1, 3), (4, 3))
    one("concat_columns", lambda *x: torch.cat(x, dim=-1), (2, 3), (2, 5))
    one("concat_middle", lambda *x: torch.cat(x, dim=1), (2, 3, 4), (2, 1, 4))
    one("concat_one_part", lambda *x: torch.cat(x), (2, 3))
    for variant, dim in [("first", 0), ("middle", 1), ("last", -1)]:
        one(f"stack_{variant}", lambda *x: torch.stack(x, dim=dim), (2, 3), (2, 3), (2, 3))

    def there_and_back(x):
        return x.to(torch.float32 if x.dtype == torch.float64 else torch.float64).to(x.dtype)

    one("to_the_other_type_and_back", there_and_back, (3, 5), domain="whole")


def variance(x, dims, keepdim, correction=1.0):
    """torch.var of this version takes whole corrections only."""
    if correction in (0, 1):
        return torch.var(x, dims, unbiased=correction == 1, keepdim=keepdim)
    count = math.prod(x.size(d) for d in dims)
    squares = (x - x.mean(dims, keepdim=True)).square()
    return squares.sum(dims, keepdim=keepdim) / (count - correction)


def reductions(store):
    forms = [("last", (3, 7), (1,), False), ("last@5x17", (5, 17), (1,), False), ("last_kept", (3, 7), (-1,), True),
             ("first", (5, 3), (0,), False), ("first@17x5", (17, 5), (0,), False),
             ("middle", (2, 5, 3), (1,), False), ("middle_kept", (2, 5, 3), (-2,), True),
             ("last_two", (2, 3, 4), (1, 2), False), ("first_two", (2, 3, 4), (0, 1), True),
             ("neighbors_inside", (2, 3, 2, 3), (2, 1), False), ("not_neighbors", (2, 3, 4), (0, 2), False),
             ("not_neighbors@2x3x17", (2, 3, 17), (0, 2), False),
             ("not_neighbors_kept", (2, 3, 4, 2), (-4, 2), True), ("all_named", (2, 3), (0, -1), True)]
    kinds = [("sum", lambda x: x.sum(), lambda x, d, keep: x.sum(d, keepdim=keep), "any"),
             ("mean", lambda x: x.mean(), lambda x, d, keep: x.mean(d, keepdim=keep), "any"),
             ("max", lambda x: x.max(), lambda x, d, keep: x.amax(d, keepdim=keep), "distinct"),
             ("var", lambda x: x.var(), variance, "any")]
    for op, whole, some, domain in kinds:
        for name, size in [(f"{op}_all", (3, 7)), (f"{op}_all@2x257", (2, 257))]:
            store.case(name, whole, [values(name, size, domain)])
        for variant, size, dims, keepdim in forms:
            name = f"{op}_{variant}"
            store.case(name, lambda x: some(x, dims, keepdim), [values(name, size, domain)])
    for variant, correction in [("uncorrected", 0), ("half_corrected", 0.5)]:
        name = f"var_{variant}"
        store.case(name, lambda x: variance(x, (1,), False, correction), [values(name, (3, 7))])
    store.case("sum_of_one_number", lambda x: x.sum(), [values("sum_of_one_number", ())])
    ties = torch.tensor([[1, 3, 3, 2, 3], [-1, -1, -1, -1, -1], [0, -0.0, -4, -INF, 0]], dtype=torch.float64)
    store.case("max_last@edge_ties", lambda x: x.amax(1), [ties])
    store.case("max_all@edge_ties", lambda x: x.max(), [ties])
    store.case("max_not_neighbors@edge_ties", lambda x: x.amax((0, 2)), [ties.reshape(1, 3, 5).repeat(2, 1, 1)])


def products(store):
    cases = [
        ("vectors", (7,), (7,)), ("vectors@19", (19,), (19,)), ("matrix_vector", (3, 5), (5,)),
        ("vector_matrix", (5,), (5, 3)), ("vector_batch", (4,), (2, 4, 3)), ("batch_vector", (2, 3, 4), (4,)),
        ("small", (3, 4), (4, 5)), ("small@5x17x19", (5, 17), (17, 19)), ("inner_size", (3, 4), (4, 5)),
        ("inner_size@n33", (3, 33), (33, 2)), ("rows", (3, 4), (4, 5)), ("rows@n19", (19, 3), (3, 5)),
        ("transposed_a", (4, 3), (4, 5), "a"), ("transposed_a@7x17", (7, 17), (7, 18), "a"),
        ("transposed_b", (3, 4), (5, 4), "b"), ("transposed_b@17x9", (3, 9), (17, 9), "b"),
        ("transposed_both", (4, 3), (5, 4), "ab"), ("transposed_both@9x17", (9, 17), (18, 9), "ab"),
        ("all_sizes_1", (1, 1), (1, 1)), ("one_row", (1, 5), (5, 7)), ("one_column", (5, 4), (4, 1)),
        ("outer_product", (5, 1), (1, 7)), ("batched", (3, 2, 4), (3, 4, 5)),
        ("batched_transposed", (2, 4, 3), (2, 5, 4), "ab"), ("shared_weight", (2, 3, 4), (4, 5)),
        ("shared_weight_transposed", (2, 3, 4), (5, 4), "b"),
        ("shared_weight_both_transposed", (2, 4, 3), (5, 4), "ab"), ("shared_left", (3, 4), (2, 4, 5)),
        ("shared_left_transposed", (4, 3), (2, 4, 5), "a"), ("broadcast", (2, 1, 3, 4), (5, 4, 2)),
        ("broadcast_both_ways_transposed", (2, 1, 4, 3), (1, 3, 2, 4), "ab"),
        ("rank_5", (2, 1, 2, 2, 3), (2, 1, 3, 2)), ("tiles", (13, 33), (33, 13)),
    ]
    for variant, a, b, *flags in cases:
        swapped = flags[0] if flags else ""
        name = f"matmul_{variant}"

        def multiply(x, y):
            return (x.mT if "a" in swapped else x) @ (y.mT if "b" in swapped else y)

        store.case(name, multiply, [values(f"{name}0", a), values(f"{name}1", b)])
    for variant, x, weight in [("row", (5,), (3, 5)), ("rows", (4, 5), (3, 5)), ("rows@9x17", (9, 5), (17, 5)),
                               ("three_dimensions", (2, 3, 4), (5, 4)),
                               ("three_dimensions@2x5x17", (2, 5, 17), (3, 17))]:
        for bias in (True, False):
            base, *at = variant.split("@")
            name = "@".join([f"linear_{base}" + ("" if bias else "_without_bias")] + at)
            shapes = [x, weight, (weight[0],)][:3 if bias else 2]
            store.case(name, F.linear, [values(f"{name}{i}", shape) for i, shape in enumerate(shapes)])


def rms_norm(x, weight=None, eps=1e-5):
    """Zhang & Sennrich 2019, equation 4 with eps; this version of PyTorch has none."""
    y = x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)
    return y if weight is None else y * weight


def row_wise(store):
    masked = torch.tensor([[1, -INF, 0.5, -INF, -2], [-INF, -INF, 3, -INF, -INF], [80, -80, 80, 0, 79]],
                          dtype=torch.float64)
    for op, f in [("softmax", torch.softmax), ("log_softmax", torch.log_softmax)]:
        for variant, size, dim, domain in [("last", (3, 7), -1, "any"), ("last@5x17", (5, 17), -1, "any"),
                                           ("last@1x1", (1, 1), -1, "any"), ("wide", (3, 7), -1, "wide"),
                                           ("wide@2x33", (2, 33), -1, "wide"), ("first", (4, 3), 0, "any"),
                                           ("first@7x17", (7, 17), 0, "any"), ("middle", (2, 4, 3), 1, "any"),
                                           ("vector", (7,), 0, "any")]:
            name = f"{op}_{variant}"
            store.case(name, lambda x: f(x, dim), [values(name, size, domain)])
    store.case("softmax_last@edge_masked", lambda x: torch.softmax(x, -1), [masked])
    store.case("softmax_first@edge_masked", lambda x: torch.softmax(x, 0), [masked.mT.contiguous()])
    store.case("log_softmax_last@edge_large", lambda x: torch.log_softmax(x, -1), [masked[2:] * 8])

    eps = 1e-2
    for variant, size, weight, bias in [("plain", (3, 7), False, False), ("plain@5x17", (5, 17), False, False),
                                        ("weight", (3, 7), True, False), ("weight@5x17", (5, 17), True, False),
                                        ("weight_and_bias", (3, 7), True, True),
                                        ("weight_and_bias@5x17", (5, 17), True, True),
                                        ("weight_and_bias@4x33", (4, 33), True, True),
                                        ("bias", (3, 7), False, True), ("three_dimensions", (2, 3, 5), True, True),
                                        ("vector", (7,), True, True), ("vector@1", (1,), True, True)]:
        def layer(x, *rest):
            return F.layer_norm(x, x.shape[-1:], rest[0] if weight else None, rest[-1] if bias else None, eps)

        def rms(x, *rest):
            return rms_norm(x, *rest, eps=eps)

        name = f"layer_norm_{variant}"
        shapes = [size] + [size[-1:]] * (weight + bias)
        store.case(name, layer, [values(f"{name}{i}", shape) for i, shape in enumerate(shapes)])
        if variant != "bias":
            name = f"rms_norm_{variant}"
            shapes = [size] + [size[-1:]] * weight
            store.case(name, rms, [values(f"{name}{i}", shape) for i, shape in enumerate(shapes)])
    store.case("layer_norm_plain@edge_constant", lambda x: F.layer_norm(x, (4,), eps=eps),
               [torch.tensor([[3, 3, 3, 3], [0, 0, 0, 0], [-1000, -1000, -1000, -1000]], dtype=torch.float64)])
    store.case("rms_norm_plain@edge_zero", lambda x: rms_norm(x, eps=eps),
               [torch.tensor([[3, 3, 3, 3], [0, 0, 0, 0], [-1000, 0, 0, 0]], dtype=torch.float64)])


def picks(count, below, every_third=None):
    """The ids and targets of op_table.cpp."""
    return torch.tensor([(i * 7 + 3) % below if every_third is None or i % 3 != 1 else every_third
                         for i in range(count)])


def ragged(rows):
    """The document lengths of op_table.cpp."""
    lengths = []
    for length in (0, 1, 2, 5, 53, 11, 0):
        lengths.append(min(length, rows))
        rows -= lengths[-1]
    while rows > 0:
        lengths.append(min(17, rows))
        rows -= lengths[-1]
    return lengths


def attention(q, k, v, causal=False, scale=None):
    """Vaswani et al. 2017, equation 1. Causal: the last query sees every key; one that sees none gives 0."""
    T, S, D = q.size(-2), k.size(-2), q.size(-1)
    scores = q @ k.mT * (scale if scale else 1 / math.sqrt(D))
    if causal:
        hidden = torch.ones(T, S, dtype=torch.bool).triu(1 + S - T)
        blind = hidden.all(dim=1, keepdim=True)
        scores = scores.masked_fill(hidden & ~blind, -INF)
        return (torch.softmax(scores, -1) * (~blind).to(q.dtype)) @ v
    return torch.softmax(scores, -1) @ v


def packed_attention(qkv, heads, lengths, causal, scale=None):
    """(N, 3 C) -> (N, C): each document and head by itself."""
    width = qkv.size(1) // (3 * heads)
    parts = []
    for document in qkv.split(lengths):
        q, k, v = (x.unflatten(1, (heads, width)).transpose(0, 1) for x in document.chunk(3, dim=1))
        parts.append(attention(q, k, v, causal, scale).transpose(0, 1).flatten(1))
    return torch.cat(parts)


def dropout_mask(shape, p, seed):
    """gradus keeps no mask: element i falls out when a hash of i and of two draws from a Mersenne Twister, as a
    fraction, is below p. Which elements fall out is gradus's own choice; what that does to the rest is torch's."""
    word = 0xFFFFFFFF
    state = [seed]
    for i in range(1, 624):  # std::mt19937's seeding
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) & word)
    engine = random.Random()
    engine.setstate((3, tuple(state) + (624,), None))
    high, low = engine.getrandbits(32), engine.getrandbits(32)

    def murmur(h):
        h ^= h >> 16
        h = h * 0x85EBCA6B & word
        h ^= h >> 13
        h = h * 0xC2B2AE35 & word
        return h ^ h >> 16

    kept = [(murmur(murmur((low + i) & word) ^ high) >> 8) / 16777216 >= p for i in range(torch.Size(shape).numel())]
    return torch.tensor(kept).reshape(shape)


def networks(store):
    for name, rows in [("embedding_repeated_ids", (5, 3)), ("embedding_repeated_ids@5x17", (5, 17))]:
        store.case(name, lambda w: F.embedding(picks(11, w.size(0)), w), [values(name, rows)])
    name = "embedding_ids_of_two_dimensions"
    store.case(name, lambda w: F.embedding(picks(600, w.size(0)).reshape(2, 300), w), [values(name, (5, 3))])
    store.case("dropout", lambda x: x * dropout_mask(x.shape, 0.3, 7) / (1 - 0.3), [values("dropout", (3, 7))])
    store.case("dropout_off", lambda x: F.dropout(x, 0.3, training=False).clone(), [values("dropout_off", (3, 7))])

    def cross_entropy(name, x, ignored, smoothing=0):
        targets = picks(x.numel() // x.size(-1), x.size(-1), None if ignored == -1 else ignored)
        store.case(name, lambda x: F.cross_entropy(x.reshape(-1, x.size(-1)), targets, ignore_index=ignored,
                                                   label_smoothing=smoothing), [x])

    for variant, size, ignored, domain, *smoothing in [("all_targets", (5, 7), -1, "any"), ("ignored_targets", (5, 7), -100, "any"),
                                           ("all_targets@3x17", (3, 17), -1, "any"),
                                           ("ignored_targets@7x33", (7, 33), -100, "any"),
                                           ("three_dimensions", (2, 3, 4), -1, "any"), ("wide", (5, 7), -1, "wide"),
                                           ("vector", (7,), -1, "any"), ("smoothed", (5, 7), -1, "any", 0.1),
                                           ("smoothed_ignored_targets", (5, 7), -100, "any", 0.3),
                                           ("smoothed_ignored_targets@7x33", (7, 33), -100, "any", 0.3)]:
        name = f"cross_entropy_{variant}"
        cross_entropy(name, values(name, size, domain), ignored, *smoothing)
    cross_entropy("cross_entropy_wide@edge_confident", values("confident", (5, 7), "wide") * 64, -1)
    for name, size in [("mse_loss", (3, 5)), ("mse_loss@2x17", (2, 17))]:
        store.case(name, F.mse_loss, [values(f"{name}{i}", size) for i in (0, 1)])

    for variant, q, k, v, causal, *scale in [
            ("plain", (2, 5, 4), (2, 5, 4), (2, 5, 4), False),
            ("plain@2x7x17", (2, 7, 17), (2, 7, 17), (2, 7, 17), False),
            ("causal", (2, 5, 4), (2, 5, 4), (2, 5, 4), True),
            ("causal@2x7x17", (2, 7, 17), (2, 7, 17), (2, 7, 17), True),
            ("length", (1, 3, 2), (1, 3, 2), (1, 3, 2), False), ("length@1", (1, 1, 2), (1, 1, 2), (1, 1, 2), False),
            ("causal_length", (1, 3, 2), (1, 3, 2), (1, 3, 2), True),
            ("causal_length@17", (1, 17, 2), (1, 17, 2), (1, 17, 2), True),
            ("more_keys", (2, 3, 4), (2, 7, 4), (2, 7, 4), False),
            ("more_keys_causal", (2, 3, 4), (2, 7, 4), (2, 7, 4), True),
            ("fewer_keys_causal", (2, 7, 4), (2, 3, 4), (2, 3, 4), True),
            ("other_value_size", (2, 3, 4), (2, 5, 4), (2, 5, 6), False),
            ("head_size_1", (2, 5, 1), (2, 5, 1), (2, 5, 1), True),
            ("head_size_17", (1, 5, 17), (1, 5, 17), (1, 5, 17), True),
            ("matrices", (5, 4), (5, 4), (5, 4), True),
            ("four_dimensions_and_scale", (2, 3, 4, 4), (2, 3, 4, 4), (2, 3, 4, 2), True, 0.7),
            ("many_rows", (1, 61, 4), (1, 61, 4), (1, 61, 4), False),
            ("many_rows_causal", (1, 115, 4), (1, 115, 4), (1, 115, 4), True),
            ("many_rows_and_more_keys_causal", (1, 55, 3), (1, 76, 3), (1, 76, 35), True),
            ("many_rows_and_fewer_keys_causal", (1, 115, 3), (1, 60, 3), (1, 60, 2), True)]:
        name = f"scaled_dot_product_attention_{variant}"
        store.case(name, lambda q, k, v: attention(q, k, v, causal, *scale),
                   [values(f"{name}{i}", size) for i, size in enumerate((q, k, v))])
    for variant, size, heads, causal, *scale in [("ragged", (77, 12), 2, True), ("not_causal", (77, 12), 2, False),
                                                 ("rows", (9, 6), 1, True, 0.6), ("head_size_1", (9, 9), 3, True),
                                                 ("head_size_17", (9, 51), 1, True), ("one_token", (1, 6), 2, True)]:
        name = f"packed_attention_{variant}"
        store.case(name, lambda x: packed_attention(x, heads, ragged(x.size(0)), causal, *scale), [values(name, size)])


def windows(store):
    """Convolutions and pooling; `@` with sizes where a row of vectors and more fits in."""
    cases = {"plain": ((2, 3, 5, 6), (4, 3, 3, 2), {}), "plain@19": ((2, 3, 5, 19), (4, 3, 3, 2), {}),
             "no_bias": ((2, 2, 4, 4), (3, 2, 3, 3), {}),
             "padding": ((2, 2, 4, 5), (3, 2, 3, 3), {"padding": 1}),
             "padding@17": ((2, 2, 4, 17), (3, 2, 3, 3), {"padding": 1}),
             "stride": ((1, 2, 7, 6), (3, 2, 3, 2), {"stride": (2, 3)}),
             "dilation": ((1, 2, 7, 6), (2, 2, 3, 2), {"dilation": (2, 3)}),
             "everything": ((2, 3, 9, 8), (4, 3, 3, 2), {"stride": (2, 1), "padding": (3, 2), "dilation": (1, 3)}),
             "kernel_of_one": ((2, 3, 4, 5), (4, 3, 1, 1), {}), "whole_image": ((2, 3, 4, 5), (2, 3, 4, 5), {}),
             "mostly_padding": ((1, 1, 1, 1), (2, 1, 3, 3), {"padding": 2})}
    for variant, (x, weight, options) in cases.items():
        name = f"conv2d_{variant}"
        shapes = [x, weight] + ([] if variant == "no_bias" else [weight[:1]])
        store.case(name, lambda *in_: F.conv2d(*in_, **options),
                   [values(f"{name}{i}", shape) for i, shape in enumerate(shapes)])
    for variant, options in {"plain": {}, "everything": {"stride": 2, "padding": 2, "dilation": 3}}.items():
        name = f"conv1d_{variant}"
        store.case(name, lambda *in_: F.conv1d(*in_, **options),
                   [values(f"{name}{i}", shape) for i, shape in enumerate([(2, 3, 11), (4, 3, 3), (4,)])])
    pools = {"halves": ((2, 3, 4, 6), 2, {}), "halves@8x34": ((1, 2, 8, 34), 2, {}),
             "rest_is_left_out": ((2, 5, 7), (2, 3), {}),
             "overlapping": ((2, 3, 5, 5), 3, {"stride": (1, 2)}),
             "padding": ((1, 2, 5, 4), 3, {"stride": 2, "padding": 1}), "of_one": ((3, 4), 1, {})}
    for variant, (size, kernel, options) in pools.items():
        for op, pool, domain in [("max_pool2d", F.max_pool2d, "distinct"), ("avg_pool2d", F.avg_pool2d, "any")]:
            name = f"{op}_{variant}"
            lead = (1,) * (3 - len(size))  # this PyTorch wants channels
            store.case(name, lambda x: pool(x.reshape(lead + x.shape), kernel, **options).flatten(0, len(lead))
                       if lead else pool(x, kernel, **options), [values(name, size, domain)])
    ties = torch.tensor([[1, 1, -0.0, 0], [1, 1, 0, 0], [-INF, -INF, 2, INF], [-INF, -INF, INF, 3]], dtype=torch.float64)
    store.case("max_pool2d_halves@edge_ties", lambda x: F.max_pool2d(x[None], 2)[0], [ties])


def losses(store):
    for op, f, domains in [
            ("l1_loss", F.l1_loss, ("any", "any")),
            ("huber_loss", lambda x, t: F.huber_loss(x, t, delta=0.7), ("any", "any")),
            ("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, ("wide", "flags")),
            ("kl_div", lambda x, t: F.kl_div(x, t, reduction="batchmean"), ("any", "positive")),
            ("kl_div_impossible_targets", lambda x, t: F.kl_div(x, t, reduction="batchmean"), ("any", "flags"))]:
        for at, size in [("", (3, 5)), ("@2x17", (2, 17))]:
            name = f"{op}{at}"
            store.case(name, f, [values(f"{name}{i}", size, domain) for i, domain in enumerate(domains)],
                       constants=["1"] if "impossible" in op else [])
    zero = torch.tensor([[0, 0, -0.0]], dtype=torch.float64), torch.tensor([[0, 0.5, 1]], dtype=torch.float64)
    store.case("binary_cross_entropy_with_logits@edge_zero", F.binary_cross_entropy_with_logits, zero)
    sure = torch.tensor([[200, -200, 80]], dtype=torch.float64), torch.tensor([[1, 0, 0]], dtype=torch.float64)
    store.case("binary_cross_entropy_with_logits@edge_sure", F.binary_cross_entropy_with_logits, sure)
    same = torch.tensor([[0, 1, -2]], dtype=torch.float64), torch.tensor([[0, 1, 2]], dtype=torch.float64)
    store.case("l1_loss@edge_equal", F.l1_loss, same)
    store.case("huber_loss@edge_equal", lambda x, t: F.huber_loss(x, t, delta=0.7), same)


def record(store):
    for part in (windows, losses, unary, binary, shape, reductions, products, row_wise, networks):
        part(store)
