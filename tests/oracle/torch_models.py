#!/usr/bin/env python3
"""Writes what tests/test_torch.c compares with: python3 torch_models.py > torch_models.h

Needs torch from PyPI; not run by the tests. Each case is a recurrent layer of PyTorch over a padded
batch: its weights, inputs and lengths, its outputs and final states, and the gradients of
sum(outputs * r) + sum(final states * r') by inputs, initial states and weights, for random r and r'.
"""

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

BATCH, TIME, IN, HIDDEN = 3, 4, 3, 2

# (name, kind, options, lengths or None, initial states)
CASES = [
    ("rnn tanh", "RNN", {}, None, False),
    ("rnn relu, lengths", "RNN", {"nonlinearity": "relu"}, [2, 4, 1], True),
    ("rnn, both directions, lengths", "RNN", {"bidirectional": True}, [4, 1, 3], False),
    ("lstm", "LSTM", {}, None, True),
    ("lstm, lengths", "LSTM", {}, [1, 3, 4], True),
    ("lstm, both directions", "LSTM", {"bidirectional": True}, None, False),
    ("lstm, both directions, lengths", "LSTM", {"bidirectional": True}, [3, 4, 2], False),
    ("gru", "GRU", {}, None, True),
    ("gru, lengths", "GRU", {}, [4, 2, 3], True),
    ("gru, both directions", "GRU", {"bidirectional": True}, None, False),
    ("gru, both directions, lengths", "GRU", {"bidirectional": True}, [1, 4, 2], False),
]


def run(number, kind, options, lengths, initial):
    torch.manual_seed(number)
    layer = getattr(torch.nn, kind)(IN, HIDDEN, batch_first=True, **options)
    directions = 2 if options.get("bidirectional") else 1
    for p in layer.parameters():
        p.data.normal_(0, 0.7)
    x = torch.randn(BATCH, TIME, IN, requires_grad=True)
    state = [torch.randn(directions, BATCH, HIDDEN, requires_grad=True) for _ in "hc"]
    state = state[: 2 if kind == "LSTM" else 1]
    begin = (tuple(state) if kind == "LSTM" else state[0]) if initial else None
    packed = x
    if lengths:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, final = layer(packed, begin)
    if lengths:
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=TIME)
    final = list(final) if kind == "LSTM" else [final]
    r = torch.randn_like(y)
    rs = [torch.randn_like(f) for f in final]
    loss = (y * r).sum() + sum((f * s).sum() for f, s in zip(final, rs))
    loss.backward()

    def joined(states):  # [directions, B, H] -> [B, directions * H]
        return [s.transpose(0, 1).reshape(BATCH, -1) for s in states]

    out = {"x": [x], "r": [r], "y": [y], "dx": [x.grad]}
    out["final"], out["rs"] = joined(final), joined(rs)
    out["initial"] = joined(state) if initial else []
    out["dinitial"] = joined([s.grad for s in state]) if initial else []
    # rows are examples here: weights are transposed
    for name, value in (("w", lambda p: p.data), ("dw", lambda p: p.grad)):
        out[name] = [value(p).t() for p in layer.parameters()]
    return out


FIELDS = ["x", "initial", "w", "y", "final", "r", "rs", "dx", "dinitial", "dw"]


def main():
    print("/* Written by torch_models.py with PyTorch %s. */" % torch.__version__.split("+")[0])
    print("enum { BATCH = %d, TIME = %d, IN = %d, HIDDEN = %d };" % (BATCH, TIME, IN, HIDDEN))
    print("typedef struct torch_case {")
    print("    const char *name;")
    print("    int cell, relu, directions, lengths[BATCH];")
    print("    const float %s;" % ", ".join("*" + field for field in FIELDS))
    print("} torch_case;\n")
    print("/* w and dw: wx [IN, gates * HIDDEN], wh, bx, bh, of each direction */")
    print("static const torch_case torch_cases[] = {")
    for number, (name, kind, options, lengths, initial) in enumerate(CASES):
        out = run(number, kind, options, lengths, initial)
        print('    {"%s", %d, %d, %d, {%s},' % (
            name, ["RNN", "GRU", "LSTM"].index(kind), "nonlinearity" in options,
            1 + ("bidirectional" in options), ", ".join(map(str, lengths or [TIME] * BATCH))))
        for field in FIELDS:
            values = [v for t in out[field] for v in t.detach().contiguous().flatten().tolist()]
            if not values:
                print("     NULL,")
                continue
            text, line = [], "        "
            for v in values:
                item = "%.9gf," % v if "%.9g" % v not in ("0", "-0") else "0,"
                if "." not in item and "e" not in item and item != "0,":
                    item = item.replace("f,", ".0f,")
                if len(line) + len(item) > 98:
                    text.append(line.rstrip())
                    line = "        "
                line += item + " "
            text.append(line.rstrip())
            print("     (const float[]){ /* %s */\n%s},"  % (field, "\n".join(text)))
        print("    },")
    print("};")


main()
