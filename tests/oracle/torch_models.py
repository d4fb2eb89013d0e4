#!/usr/bin/env python3
"""Writes what tests/test_torch_models.c compares with: python3 torch_models.py > torch_models.h

Needs torch; not run by the tests. Projected and stacked LSTMs, attention with many heads, layers of
Transformers, CTC, each run by PyTorch in double: values and gradients. As in torch_cells.py, inputs
are multiples of 1/64, and matrices are transposed.
"""

import torch
from torch import nn
from torch.nn.utils import rnn

from recording import array
from torch_cells import draw

BATCH, TIME, KEYS, IN, HIDDEN, PROJECTED, SIZE, HEADS, WIDE = 3, 4, 3, 2, 3, 2, 4, 2, 5
CLASSES, LABELS, LONG = 5, 3, 6
LENGTHS = [3, 1, 4]
KEY_LENGTHS = [2, 3, 1]
torch.manual_seed(21)


def randomize(module):
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(draw(*p.shape))
    module.eval()


def record(name, inputs, parameters, values):
    """given: inputs, parameters, cotangents of the values; expected: values, gradients by inputs and
    parameters. Parameters are pairs of what torch has and how seqgrad has it."""
    seeds = [draw(*v.shape) for v in values]
    sum((s * v).sum() for s, v in zip(seeds, values)).backward()
    array(f"{name}_given", inputs + [turn(p) for p, turn in parameters] + seeds)
    gradients = [x.grad for x in inputs] + [turn(p.grad) for p, turn in parameters]
    array(f"{name}_expected", values + gradients)


def same(p):
    return p


def turned(p):
    return p.T


# ---- LSTM ---------------------------------------------------------------------------------------


def stack(name, layers, both, projected):
    """Torch's biases: only the first is used, the second is 0."""
    options = {"proj_size": PROJECTED} if projected else {}
    module = nn.LSTM(
        IN, HIDDEN, batch_first=True, num_layers=layers, bidirectional=both, **options
    )
    randomize(module)
    parameters = []
    for l in range(layers):
        for d in ["", "_reverse"][: 1 + both]:
            get = lambda kind: getattr(module, f"{kind}_l{l}{d}")
            with torch.no_grad():
                get("bias_hh").zero_()
            parameters += [(get("weight_ih"), turned), (get("weight_hh"), turned)]
            parameters += [(get("bias_ih"), same)]
            parameters += [(get("weight_hr"), turned)] if projected else []
    x = draw(BATCH, TIME, IN).requires_grad_()
    sequence = rnn.pack_padded_sequence(
        x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    y, (h, c) = module(sequence)
    y, _ = rnn.pad_packed_sequence(y, batch_first=True)
    record(name, [x], parameters, [y, h, c])
    return f'    {{"{name}", {layers}, {int(both)}, {int(projected)}, {name}_given, {name}_expected}},'


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
    print("    const char *name;")
    print("    int layers, both, projected;")
    print("    /* given: x; by layer and direction wx, wh, b, wr; cotangents of values.")
    print("     * expected: values y, h, c; gradients */")
    print("    const double *given, *expected;")
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
    module = nn.MultiheadAttention(SIZE, HEADS, batch_first=True)
    randomize(module)
    x = draw(BATCH, TIME, SIZE).requires_grad_()
    # a row's own padding is not a query of interest: its cotangent is still recorded
    y, w = module(
        x,
        x,
        x,
        key_padding_mask=padding(LENGTHS, TIME),
        average_attn_weights=False,
    )
    record("heads_self", [x], self_attention(module), [y, w])
    module = nn.MultiheadAttention(SIZE, HEADS, batch_first=True)
    randomize(module)
    x = draw(BATCH, TIME, SIZE).requires_grad_()
    memory = draw(BATCH, KEYS, SIZE).requires_grad_()
    y, w = module(
        x,
        memory,
        memory,
        key_padding_mask=padding(KEY_LENGTHS, KEYS),
        average_attn_weights=False,
    )
    record("heads_cross", [x, memory], self_attention(module), [y, w])
    print("/* given: x, memory; qkv's w and b, joined; out's w and b; cotangents of values.")
    print(" * expected: values y, weights; gradients */\n")


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
    for l in layer:
        randomize(l)
    last = nn.LayerNorm(SIZE)
    randomize(last)
    x = draw(BATCH, TIME, SIZE).requires_grad_()
    memory = draw(BATCH, KEYS, SIZE).requires_grad_()
    y = x
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
    parameters = [p for l in layer for p in block_parameters(l, cross)]
    parameters += [(last.weight, same), (last.bias, same)] if pre else []
    record(name, [x, memory] if cross else [x], parameters, [torch.where(real, y, 0)])
    flags = f"{int(cross)}, {int(pre)}, {int(relu)}"
    return f'    {{"{name}", {flags}, {name}_given, {name}_expected}},'


def transformers():
    rows = [
        transformer("encoder_pre", False, True, False),
        transformer("encoder_post", False, False, True),
        transformer("decoder_pre", True, True, True),
        transformer("decoder_post", True, False, False),
    ]
    print("static const struct {")
    print("    const char *name;")
    print("    int cross, pre, relu;")
    print("    /* given: x, a decoder's memory; by layer self, cross, widen, narrow, norms, w and b")
    print("     * each; the last norm; cotangent of y, which is 0 behind the lengths */")
    print("    const double *given, *expected;")
    print("} torch_transformer[] = {")
    print("\n".join(rows))
    print("};\n")


# ---- CTC ----------------------------------------------------------------------------------------


def ctc():
    logits = (draw(BATCH, LONG, CLASSES) * 2).requires_grad_()
    labels = torch.tensor([[1, 1, 2], [3, 0, 0], [4, 2, 4]])  # 0 is the blank: padding, too
    lengths, label_lengths = torch.tensor([5, 2, 6]), torch.tensor([3, 1, 3])
    p = nn.functional.log_softmax(logits, -1).transpose(0, 1)
    loss = nn.functional.ctc_loss(p, labels, lengths, label_lengths, 0, reduction="none")
    record("ctc", [logits], [], [loss])
    print("/* given: logits, cotangent of the losses by row; expected: those, gradient */")
    for name, values in [("labels", labels.flatten()), ("label_lengths", label_lengths),
                         ("lengths", lengths)]:  # fmt: skip
        print(f"static const int ctc_{name}[] = {{{', '.join(map(str, values.tolist()))}}};")


def main():
    print(f"/* By torch_models.py with PyTorch {torch.__version__.split('+')[0]}. */")
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
