#!/usr/bin/env python3
"""Writes what tests/test_torch_models.c compares with: python3 torch_models.py > torch_models.h

Needs torch; not run by the tests. Projected and stacked LSTMs, attention with many heads, layers of
Transformers, CTC, each run by PyTorch in double: values and gradients. As in torch_cells.py,
matrices are transposed; as in recording.py, what is given is drawn on both sides.
"""

import torch
from torch import nn
from torch.nn.utils import rnn

from recording import Draw, array

BATCH, TIME, KEYS, IN, HIDDEN, PROJECTED, SIZE, HEADS, WIDE = 3, 4, 3, 2, 3, 2, 4, 2, 5
CLASSES, LABELS, LONG = 5, 3, 6
LENGTHS = [3, 1, 4]
KEY_LENGTHS = [2, 3, 1]


class Case:
    """Inputs and parameters are drawn in the order of the calls, then cotangents of the values."""

    def __init__(self):
        self.draw, self.leaves = Draw(), []

    def input(self, *shape):
        x = self.draw(*shape).requires_grad_()
        self.leaves.append((x, same))
        return x

    def fill(self, parameters):
        """Pairs of what torch has and how seqgrad has it; both ways are the same."""
        for p, turn in parameters:
            with torch.no_grad():
                p.copy_(turn(self.draw(*turn(p).shape)))
        self.leaves += parameters

    def record(self, name, values):
        """Values, then gradients by what was drawn."""
        seeds = [self.draw(*v.shape) for v in values]
        sum((s * v).sum() for s, v in zip(seeds, values)).backward()
        array(name, values + [turn(x.grad) for x, turn in self.leaves])


def same(p):
    return p


def turned(p):
    return p.T


# ---- LSTM ---------------------------------------------------------------------------------------


def stack(name, layers, both, projected):
    """Torch's biases: only the first is used, the second is 0."""
    options = {"proj_size": PROJECTED} if projected else {}
    module = nn.LSTM(IN, HIDDEN, batch_first=True, num_layers=layers, bidirectional=both, **options)
    case, parameters = Case(), []
    for l in range(layers):
        for d in ["", "_reverse"][: 1 + both]:
            get = lambda kind: getattr(module, f"{kind}_l{l}{d}")
            with torch.no_grad():
                get("bias_hh").zero_()
            parameters += [(get("weight_ih"), turned), (get("weight_hh"), turned)]
            parameters += [(get("bias_ih"), same)]
            parameters += [(get("weight_hr"), turned)] if projected else []
    x = case.input(BATCH, TIME, IN)
    case.fill(parameters)
    sequence = rnn.pack_padded_sequence(
        x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    y, (h, c) = module(sequence)
    y, _ = rnn.pad_packed_sequence(y, batch_first=True)
    case.record(name, [y, h, c])
    return f"    {{RECORDING({name}), {layers}, {int(both)}, {int(projected)}}},"


def stacks():
    rows = [
        stack("lstm_projected", 1, False, True),
        stack("lstm_projected_both_2", 2, True, True),
        stack("lstm_stacked_3", 3, False, False),
        stack("lstm_stacked_both_2", 2, True, False),
    ]
    print("static const int torch_lengths[] = {%s};" % ", ".join(map(str, LENGTHS)))
    print("static const int torch_key_lengths[] = {%s};" % ", ".join(map(str, KEY_LENGTHS)))
    print("static const struct {")
    print("    recording r; /* drawn: x; by layer and direction wx, wh, b, wr. Values: y, h, c */")
    print("    int layers, both, projected;")
    print("} torch_stack[] = {")
    print("\n".join(rows))
    print("};\n")


# ---- attention ----------------------------------------------------------------------------------


def padding(lengths, time):
    return torch.arange(time)[None] >= torch.tensor(lengths)[:, None]


def self_attention(module):
    return [
        (module.in_proj_weight, turned),
        (module.in_proj_bias, same),
        (module.out_proj.weight, turned),
        (module.out_proj.bias, same),
    ]


def heads():
    """A row's own padding is not a query of interest: its cotangent is still drawn."""
    print("/* Drawn: x, memory; qkv's w and b, joined; out's w and b. Values: y, weights */")
    for name, cross in [("heads_self", False), ("heads_cross", True)]:
        module, case = nn.MultiheadAttention(SIZE, HEADS, batch_first=True), Case()
        x = case.input(BATCH, TIME, SIZE)
        memory, lengths = (case.input(BATCH, KEYS, SIZE), KEY_LENGTHS) if cross else (x, LENGTHS)
        case.fill(self_attention(module))
        mask = padding(lengths, memory.shape[1])
        options = {"key_padding_mask": mask, "average_attn_weights": False}
        case.record(name, list(module(x, memory, memory, **options)))
    print()


def block_parameters(layer, cross):
    parts = self_attention(layer.self_attn)
    parts += self_attention(layer.multihead_attn) if cross else []
    parts += [(layer.linear1.weight, turned), (layer.linear1.bias, same)]
    parts += [(layer.linear2.weight, turned), (layer.linear2.bias, same)]
    for norm in [layer.norm1, layer.norm2] + ([layer.norm3] if cross else []):
        parts += [(norm.weight, same), (norm.bias, same)]
    return parts


def transformer(name, cross, pre, relu):
    """Two layers, and a norm at the end of those that are normalized first."""
    kind = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    layer = [
        kind(SIZE, HEADS, WIDE, 0, "relu" if relu else "gelu", batch_first=True, norm_first=pre)
        for _ in range(2)
    ]
    last, case = nn.LayerNorm(SIZE), Case()
    y = x = case.input(BATCH, TIME, SIZE)
    memory = case.input(BATCH, KEYS, SIZE) if cross else None
    parameters = [p for l in layer for p in block_parameters(l, cross)]
    case.fill(parameters + ([(last.weight, same), (last.bias, same)] if pre else []))
    past = torch.triu(torch.ones(TIME, TIME, dtype=torch.bool), 1)
    for l in layer:
        if cross:
            y = l(
                y,
                memory,
                tgt_mask=past,
                tgt_key_padding_mask=padding(LENGTHS, TIME),
                memory_key_padding_mask=padding(KEY_LENGTHS, KEYS),
            )
        else:
            y = l(y, src_key_padding_mask=padding(LENGTHS, TIME))
    y = last(y) if pre else y
    real = (~padding(LENGTHS, TIME))[:, :, None]
    case.record(name, [torch.where(real, y, 0)])
    return f"    {{RECORDING({name}), {int(cross)}, {int(pre)}, {int(relu)}}},"


def transformers():
    rows = [
        transformer("encoder_pre", False, True, False),
        transformer("encoder_post", False, False, True),
        transformer("decoder_pre", True, True, True),
        transformer("decoder_post", True, False, False),
    ]
    print("static const struct {")
    print(
        "    /* drawn: x, a decoder's memory; by layer self, cross, widen, narrow, norms, w and b"
    )
    print("     * each; the last norm. The value is 0 behind the lengths. */")
    print("    recording r;")
    print("    int cross, pre, relu;")
    print("} torch_transformer[] = {")
    print("\n".join(rows))
    print("};\n")


# ---- CTC ----------------------------------------------------------------------------------------


def ctc():
    case = Case()
    logits = case.input(BATCH, LONG, CLASSES)
    labels = torch.tensor([[1, 1, 2], [3, 0, 0], [4, 2, 4]])  # 0 is the blank: padding, too
    lengths, label_lengths = torch.tensor([5, 2, 6]), torch.tensor([3, 1, 3])
    p = nn.functional.log_softmax(logits, -1).transpose(0, 1)
    loss = nn.functional.ctc_loss(p, labels, lengths, label_lengths, 0, reduction="none")
    case.record("ctc", [loss])
    for name, values in [("labels", labels.flatten()), ("label_lengths", label_lengths),
                         ("lengths", lengths)]:  # fmt: skip
        print(f"static const int ctc_{name}[] = {{{', '.join(map(str, values.tolist()))}}};")


def main():
    print(f"/* By torch_models.py with PyTorch {torch.__version__.split('+')[0]}. */")
    print('#include "tests/recorded.h"\n')
    print("/* clang-format off */")
    print("enum {")
    names = "BATCH TIME KEYS IN HIDDEN PROJECTED SIZE HEADS WIDE CLASSES LABELS LONG".split()
    for name in names:
        print(f"    {name} = {globals()[name]},")
    print("};\n")
    stacks()
    heads()
    transformers()
    ctc()


if __name__ == "__main__":
    main()
