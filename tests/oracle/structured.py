#!/usr/bin/env python3
"""Writes what tests/test_recorded_structured.c compares with: python3 structured.py > structured.h

Needs torch, pytorch-crf, pytorch-tree-lstm, keras, jax, fast-ctc-decode; not run by the tests.
Tree-LSTMs, a conditional random field, CTC's prefix beam search and its best alignment.
"""

import fast_ctc_decode
import numpy
import torch
import torchcrf
import treelstm
from torch.func import functional_call

from recording import Draw, array, head, keras_in_double, named, record

IN, HIDDEN, NODES = 2, 2, 6
BATCH, TIME, CLASSES, BEST = 3, 4, 3, 2
LENGTHS = [4, 2, 1]
LONG, LONG_LENGTHS = 16, [16, 9, 0]
keras = keras_in_double()

# ---- trees --------------------------------------------------------------------------------------

# 5 over 4 over (3, 2), 3 over (0, 1)
CHILDREN = [[], [], [], [0, 1], [3, 2], [4]]


def child_sum(x, p):
    edges = numpy.array([[parent, k] for parent, ks in enumerate(CHILDREN) for k in ks])
    order = treelstm.calculate_evaluation_orders(edges, NODES)
    nodes, edge_order = (torch.from_numpy(o) for o in order)
    iou, f = p["wx"].split([3 * HIDDEN, HIDDEN], -1)
    b_iou, b_f = p["b"].split([3 * HIDDEN, HIDDEN])
    weights = {"W_iou.weight": iou.T, "W_iou.bias": b_iou, "U_iou.weight": p["uh"].T}
    weights |= {"W_f.weight": f.T, "W_f.bias": b_f, "U_f.weight": p["uf"].T}
    module = treelstm.TreeLSTM(IN, HIDDEN)
    return functional_call(module, weights, (x, nodes, torch.from_numpy(edges), edge_order))


def binary(x, p):
    """Tai et al. 2015, eq. 9 to 14, with N = 2; inner nodes have no word."""
    states = []
    for node, children in enumerate(CHILDREN[:5]):
        own = p["b"] if children else x[node] @ p["wx"] + p["b"]
        h = torch.cat([states[k][0] for k in children] or [torch.zeros(2 * HIDDEN)])
        of_i, of_o, of_u, of_f = own.split(HIDDEN)
        i, o, u, *f = (h @ p["uh"]).split(HIDDEN)
        i, o, u = torch.sigmoid(of_i + i), torch.sigmoid(of_o + o), torch.tanh(of_u + u)
        c = i * u + sum(torch.sigmoid(of_f + f[n]) * states[k][1] for n, k in enumerate(children))
        states.append((o * torch.tanh(c), c))
    return [torch.stack([s[i] for s in states]) for i in range(2)]


def trees():
    own = {"wx": (IN, 4 * HIDDEN), "b": (4 * HIDDEN,)}
    tables = [
        ("tree_child_sum", child_sum, NODES, {"uh": (HIDDEN, 3 * HIDDEN), "uf": (HIDDEN, HIDDEN)}),
        ("tree_binary", binary, 3, {"uh": (2 * HIDDEN, 5 * HIDDEN)}),
    ]
    for name, f, words, more in tables:
        shapes = own | more
        record(name, named(shapes, f), [(words, IN)], shapes)


# ---- CRF ----------------------------------------------------------------------------------------


def crf():
    module = torchcrf.CRF(CLASSES, batch_first=True)
    labels = torch.tensor([[0, 2, 2, 1], [1, 0, 0, 0], [2, 0, 0, 0]])
    mask = torch.arange(TIME)[None] < torch.tensor(LENGTHS)[:, None]
    theirs = {"start": "start_transitions", "stop": "end_transitions", "transition": "transitions"}
    shapes = {"start": (CLASSES,), "stop": (CLASSES,), "transition": (CLASSES, CLASSES)}

    def loss(scores, p):
        weights = {theirs[name]: w for name, w in p.items()}
        options = {"mask": mask, "reduction": "none"}
        return [-functional_call(module, weights, (scores, labels), options)]

    record("crf_loss", named(shapes, loss), [(BATCH, TIME, CLASSES)], shapes)
    draw = Draw()
    scores = draw(BATCH, TIME, CLASSES)
    weights = {theirs[name]: torch.nn.Parameter(draw(*shapes[name])) for name in sorted(shapes)}
    module.load_state_dict(weights)
    best = [row + [-1] * (TIME - len(row)) for row in module.decode(scores, mask)]
    real = torch.tensor(best).clamp(min=0)
    of_path = module._compute_score(scores.transpose(0, 1), real.T, mask.T)
    print("/* the best labels, -1 behind the lengths; their scores */")
    array("crf_best", [torch.tensor(best)], "int")
    array("crf_best_scores", [of_path])


# ---- CTC ----------------------------------------------------------------------------------------


def ctc():
    import jax
    from keras.src.backend.jax import nn as jax_nn

    jax.config.update("jax_enable_x64", True)
    logits = 4 * Draw()(BATCH, TIME, CLASSES).numpy()
    print(
        "/* The best two prefixes of rows, by beams of 2 and 64: labels, -1 behind them; log p */"
    )
    for name, width in [("narrow", 2), ("wide", 64)]:
        options = {"beam_width": width, "top_paths": BEST, "mask_index": 0}
        found = jax_nn.ctc_decode(logits, numpy.array(LENGTHS), "beam_search", **options)
        labels, log_p = (torch.tensor(numpy.array(x)) for x in found)
        array(f"ctc_{name}", [labels], "int")
        array(f"ctc_{name}_scores", [log_p.T])
    greedy(jax_nn)


def greedy(jax_nn):
    """By Keras, and the same labels by fast-ctc-decode, in single precision."""
    p = (4 * Draw()(BATCH, LONG, CLASSES)).softmax(-1)
    found = jax_nn.ctc_decode(p.log().numpy(), numpy.array(LONG_LENGTHS), "greedy", mask_index=0)
    labels, costs = (torch.tensor(numpy.array(x)) for x in found)
    for row, n, ours in zip(p, LONG_LENGTHS, labels[0].tolist()):
        ids = "".join(str(k) for k in ours if k >= 0)
        theirs = fast_ctc_decode.viterbi_search(row[:n].float().numpy(), "012")[0] if n else ""
        assert ids == theirs, (ids, theirs)
    best = "".join(map(str, p[0].argmax(-1).tolist()))
    assert any(2 * k in best and f"{k}0{k}" in best for k in "12"), best
    print("/* Labels of the most probable alignments, -1 behind them; log p of these */")
    array("ctc_long_lengths", [torch.tensor(LONG_LENGTHS)], "int")
    array("ctc_greedy", [labels], "int")
    array("ctc_greedy_scores", [-costs])


def main():
    head("structured.py", [torch, keras], IN=IN, HIDDEN=HIDDEN, NODES=NODES, BATCH=BATCH,
         TIME=TIME, CLASSES=CLASSES, BEST=BEST, LONG=LONG)  # fmt: skip
    trees()
    crf()
    ctc()


if __name__ == "__main__":
    main()
