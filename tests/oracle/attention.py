#!/usr/bin/env python3
"""Writes what tests/test_recorded_attention.c compares with: python3 attention.py > attention.h

Needs torch and keras; not run by the tests. Scores of attention, coverage, windows; sequences to
one vector; what is joined to a sequence.
"""

import torch
from torch import nn
from torch.func import functional_call

from recording import head, keras_in_double, named, record

BATCH, QUERIES, TIME, SIZE, INNER, HEADS, WINDOW, OTHER = 2, 2, 3, 2, 3, 2, 1, 3
LENGTHS = [3, 2]
QUERY, KEYS = (BATCH, QUERIES, SIZE), (BATCH, TIME, SIZE)
keras = keras_in_double()
real = torch.arange(TIME)[None] < torch.tensor(LENGTHS)[:, None]


def recording(name, f, inputs, parameters={}):
    parameters = {"a." + key: shape for key, shape in parameters.items()}
    plain = lambda *x: f(*x[:-1], {k.removeprefix("a."): v for k, v in x[-1].items()})
    record(name, named(parameters, plain), inputs, parameters)


# ---- scores -------------------------------------------------------------------------------------


def attend(layer, q, k, v, weights=()):
    """A layer of Keras: contexts and weights."""
    layer.build([q.shape, v.shape, k.shape])
    others = [x.value for x in layer.non_trainable_variables]
    options = {"mask": [None, real], "return_attention_scores": True}
    return layer.stateless_call(list(weights), others, [q, v, k], **options)[0]


def dot(q, v, p):
    return attend(keras.layers.Attention(), q, v, v)


def general(q, v, p):
    return attend(keras.layers.Attention(), q @ p["wa"], v, v)


def concat(q, v, p):
    layer = keras.layers.AdditiveAttention()
    return attend(layer, q @ p["wq"], v @ p["wk"], v, [p["v"][:, 0]])


def heads(q, v, p):
    """The mean of all heads' weights."""
    module = nn.MultiheadAttention(SIZE, HEADS, bias=False, batch_first=True)
    weights = {"in_proj_weight": torch.cat([p["wq"], p["wkv"]], -1).T}
    weights["out_proj.weight"] = p["wo"].T
    return functional_call(module, weights, (q, v, v), {"key_padding_mask": ~real})


def coverage(q, v, p):
    """Tu et al. 2016, See et al. 2017, eq. 11: v tanh(Wq q + Wk k + Wc c), c the sum of the weights
    of earlier queries; eq. 12, what it costs: the sum of min(weight, c)."""
    covered, contexts, costs = torch.zeros(BATCH, TIME), [], []
    for i in range(QUERIES):
        keys = v @ p["wk"] + covered[:, :, None] @ p["wc"]
        layer = keras.layers.AdditiveAttention()
        context, weights = attend(layer, q[:, i : i + 1] @ p["wq"], keys, v, [p["v"][:, 0]])
        contexts.append(context)
        costs.append(torch.minimum(weights[:, 0], covered).sum(-1))
        covered = covered + weights[:, 0]
    return [torch.cat(contexts, 1), covered, torch.stack(costs, 1)]


def local(q, v, p, predicted):
    """Luong et al. 2015, eq. 9 and 10: a(s) exp(-(s - p)^2 / 2 sigma^2) over [p - D, p + D], with
    sigma = D / 2, p = S sigmoid(vp tanh(Wp h)); local-m has a given p, and a(s) alone."""
    positions = torch.arange(TIME)
    if predicted:
        size = torch.tensor(LENGTHS)[:, None, None]
        at = size * torch.sigmoid(torch.tanh(q @ p["wp"]) @ p["vp"])
    else:
        at = torch.arange(QUERIES)[None, :, None] * torch.ones(BATCH, 1, 1)
    seen = (positions >= at - WINDOW) & (positions <= at + WINDOW) & real[:, None]
    scores = (q @ p["wa"] @ v.mT).masked_fill(~seen, -torch.inf)
    weights = scores.softmax(-1)
    if predicted:
        weights = weights * torch.exp(-((positions - at) ** 2) / (2 * (WINDOW / 2) ** 2))
    return [weights @ v, weights]


def scores():
    recording("dot", dot, [QUERY, KEYS])
    recording("general", general, [QUERY, KEYS], {"wa": (SIZE, SIZE)})
    inner = {"wq": (SIZE, INNER), "wk": (SIZE, INNER), "v": (INNER, 1)}
    recording("concat", concat, [QUERY, KEYS], inner)
    square = (SIZE, SIZE)
    recording("heads", heads, [QUERY, KEYS], {"wq": square, "wkv": (SIZE, 2 * SIZE), "wo": square})
    recording("coverage", coverage, [QUERY, KEYS], inner | {"wc": (1, INNER)})
    window = {"wa": square, "wp": square, "vp": (SIZE, 1)}
    recording("local_p", lambda *x: local(*x, True), [QUERY, KEYS], window)
    recording("local_m", lambda *x: local(*x, False), [QUERY, KEYS], window)


# ---- many to one --------------------------------------------------------------------------------


def attention_pool(v, p):
    """Yang et al. 2016, eq. 5 to 7: u = tanh(W h + b), a = softmax(u_w u)"""
    u = torch.tanh(v @ p["w"] + p["b"])
    weights = (u @ p["v"])[..., 0].masked_fill(~real, -torch.inf).softmax(-1)
    return [(weights[:, None] @ v)[:, 0], weights]


def pools():
    last = lambda v, p: [torch.stack([row[n - 1] for row, n in zip(v, LENGTHS)])]
    mean = lambda v, p: [keras.layers.GlobalAveragePooling1D()(v, mask=real)]
    most = lambda v, p: [torch.stack([row[:n].amax(0) for row, n in zip(v, LENGTHS)])]
    recording("pool_last", last, [KEYS])
    recording("pool_mean", mean, [KEYS])
    recording("pool_max", most, [KEYS])
    inner = {"w": (SIZE, INNER), "b": (INNER,), "v": (INNER, 1)}
    recording("pool_attention", attention_pool, [KEYS], inner)


# ---- fusion -------------------------------------------------------------------------------------


def fusions():
    """Of a sequence [B,T,SIZE] and one vector [B,SIZE] or [B,OTHER]."""
    same, other = (BATCH, SIZE), (BATCH, OTHER)
    over = lambda z: keras.layers.RepeatVector(TIME)(z)
    joined = lambda h, z: keras.layers.Concatenate()([h, over(z)])
    recording("fuse_add", lambda h, z, p: [keras.layers.Add()([h, over(z)])], [KEYS, same])
    recording("fuse_mean", lambda h, z, p: [keras.layers.Average()([h, over(z)])], [KEYS, same])
    recording("fuse_concat", lambda h, z, p: [joined(h, z)], [KEYS, other])
    recording("fuse_restored", lambda h, z, p: [joined(h, z) @ p["wc"]], [KEYS, other],
              {"wc": (SIZE + OTHER, SIZE)})  # fmt: skip
    recording("fuse_projected", lambda h, z, p: [h + over(z @ p["wz"])], [KEYS, other],
              {"wz": (OTHER, SIZE)})  # fmt: skip
    dense = lambda h, z, p: torch.relu(joined(h, z) @ torch.cat([p["wh"], p["wz"]]) + p["b"])
    recording("fuse_mlp", lambda *x: [dense(*x)], [KEYS, other],
              {"wh": (SIZE, INNER), "wz": (OTHER, INNER), "b": (INNER,)})  # fmt: skip


def main():
    head("attention.py", [torch, keras], BATCH=BATCH, QUERIES=QUERIES, TIME=TIME, SIZE=SIZE,
         INNER=INNER, HEADS=HEADS, WINDOW=WINDOW, OTHER=OTHER)  # fmt: skip
    scores()
    pools()
    fusions()


if __name__ == "__main__":
    main()
