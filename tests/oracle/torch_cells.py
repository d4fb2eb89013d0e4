#!/usr/bin/env python3
"""Writes what tests/test_torch_vectors.c compares with: python3 torch_cells.py > torch_vectors.h

Needs torch; not run by the tests. Small layers, losses, optimizers and schedules, each run by
PyTorch in double: values and gradients. All inputs are multiples of 1/64, so they are the same
numbers in single precision. Weights are recorded as seqgrad has them: rows are examples, so
matrices are transposed; a cell has the sum of torch's two biases, but a GRU both.
"""

import torch
from torch import nn
from torch.nn.utils import rnn
from torch.optim import lr_scheduler

from recording import array

BATCH, TIME, IN, HIDDEN, CLASSES, SIZE, STEPS, RATES = 3, 4, 2, 3, 5, 5, 6, 9
LENGTHS = [3, 1, 4]
torch.manual_seed(20)


def draw(*shape):
    return torch.randint(-64, 65, shape) / 64


# ---- recurrent layers ---------------------------------------------------------------------------


def layer(kind, name, both=False, packed=False, initial=False, relu=False):
    make = [nn.RNN, nn.GRU, nn.LSTM][kind]
    more = {"nonlinearity": "relu"} if relu else {}
    module = make(IN, HIDDEN, batch_first=True, bidirectional=both, **more)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(draw(*p.shape))
    directions = 2 if both else 1
    x = draw(BATCH, TIME, IN).requires_grad_()
    states = [draw(directions, BATCH, HIDDEN).requires_grad_() for _ in range(1 + (kind == 2))]
    start = (tuple(states) if kind == 2 else states[0]) if initial else None
    sequence = x
    if packed:
        sequence = rnn.pack_padded_sequence(
            x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
        )
    y, final = module(sequence, start)
    if packed:
        y, _ = rnn.pad_packed_sequence(y, batch_first=True)
    joined = [torch.cat(list(f), -1) for f in (final if kind == 2 else [final])]
    values = [y] + joined
    seeds = [draw(*v.shape) for v in values]
    sum((s * v).sum() for s, v in zip(seeds, values)).backward()
    states = states if initial else []

    def weights(of):
        for d in ["", "_reverse"][:directions]:
            names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
            wx, wh, bx, bh = (of(getattr(module, name + d)) for name in names)
            yield from [wx.T, wh.T] + ([bx, bh] if kind == 1 else [bx + bh])

    array(f"{name}_given", [x] + states + list(weights(lambda p: p)) + seeds)
    # torch's two biases have the gradient of their sum each
    halves = {p: p.grad if p.ndim == 2 or kind == 1 else p.grad / 2 for p in module.parameters()}
    gradients = [x.grad] + [s.grad for s in states] + list(weights(halves.get))
    array(f"{name}_expected", values + gradients)
    flags = [kind] + [int(b) for b in (relu, both, packed, initial)]
    return f'    {{"{name}", {", ".join(map(str, flags))}, {name}_given, {name}_expected}},'


def layers():
    rows = []
    for kind, name in enumerate(["rnn", "gru", "lstm"]):
        rows.append(layer(kind, f"{name}_from_state", initial=True))
        rows.append(layer(kind, f"{name}_packed", packed=True))
        rows.append(layer(kind, f"{name}_both_packed", both=True, packed=True))
    rows.append(layer(0, "rnn_relu_both", both=True, relu=True))
    print("static const int torch_lengths[] = {%s};" % ", ".join(map(str, LENGTHS)))
    print("static const struct {")
    print("    const char *name;")
    print("    int kind, relu, both, packed, initial; /* RNN, GRU, LSTM */")
    print("    /* given: x, initial states; by direction wx, wh, b, GRU's bh; cotangents of values.")
    print("     * expected: values y, h, LSTM's c; gradients by x, initial states, weights */")
    print("    const double *given, *expected;")
    print("} torch_layer[] = {")
    print("\n".join(rows))
    print("};\n")


# ---- losses and norms ---------------------------------------------------------------------------


def losses():
    rows = []
    for name, smoothing in [("plain", 0), ("smoothed", 0.125)]:
        logits = (draw(BATCH, TIME, CLASSES) * 4).requires_grad_()
        labels = torch.randint(0, CLASSES, (BATCH, TIME))
        for b, n in enumerate(LENGTHS):
            labels[b, n:] = -100
        turned = logits.transpose(1, 2)
        options = {"ignore_index": -100, "label_smoothing": smoothing}
        by_row = nn.CrossEntropyLoss(reduction="none", **options)(turned, labels)
        mean = nn.CrossEntropyLoss(**options)(turned, labels)
        mean.backward()
        array(f"loss_{name}_given", [logits, labels.double()])
        array(f"loss_{name}_expected", [by_row, mean, logits.grad])
        rows.append(f'    {{"{name}", {smoothing}, loss_{name}_given, loss_{name}_expected}},')
    print("static const struct {")
    print("    const char *name;")
    print("    double smoothing;")
    print("    /* given: logits, labels, of which -100 is ignored.")
    print("     * expected: losses by row, their mean, its gradient by the logits */")
    print("    const double *given, *expected;")
    print("} torch_loss[] = {")
    print("\n".join(rows))
    print("};\n")


def norm():
    module = nn.LayerNorm(SIZE, eps=2**-10)
    x, seed = draw(BATCH, SIZE).requires_grad_(), draw(BATCH, SIZE)
    with torch.no_grad():
        module.weight.copy_(draw(SIZE))
        module.bias.copy_(draw(SIZE))
    y = module(x)
    (y * seed).sum().backward()
    print("/* x, gain, bias, cotangent of y; y, gradients by x, gain, bias. epsilon is 2^-10 */")
    array("norm_given", [x, module.weight, module.bias, seed])
    array("norm_expected", [y, x.grad, module.weight.grad, module.bias.grad])
    print()


def attention():
    q, k, v = (draw(BATCH, TIME, SIZE).requires_grad_() for _ in range(3))
    mask = (torch.arange(TIME)[None] < torch.tensor(LENGTHS)[:, None])[:, None]
    y = nn.functional.scaled_dot_product_attention(q, v, v, attn_mask=mask)
    seed = draw(*y.shape)
    (y * seed).sum().backward()
    print("/* Scaled dot products: queries, values (keys, too), cotangent of y; y and gradients. */")
    array("attention_given", [q, v, seed])
    array("attention_expected", [y, q.grad, v.grad])
    print()


# ---- optimizers ---------------------------------------------------------------------------------


def optimizers():
    a, start = draw(SIZE) * 4, draw(SIZE)
    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
    table = [
        ("sgd", sgd, {"lr": 0.1}, {}),
        ("momentum", sgd, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.02}, {}),
        ("nesterov", sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True}, {}),
        ("adam", adam, {"lr": 0.05}, {}),
        ("adam_decay", adam, {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1}, {}),
        ("adam_epsilon", adam, {"lr": 0.05, "eps": 0.01}, {}),
        ("adamw", adamw, {"lr": 0.05, "weight_decay": 0.1}, {}),
        ("clipped", sgd, {"lr": 0.1}, {"clip_norm": 2}),
        ("adam_clipped", adam, {"lr": 0.05, "eps": 0.01}, {"clip_norm": 0.5}),
        ("by_value", sgd, {"lr": 0.1, "momentum": 0.9}, {"clip_value": 0.75}),
        ("accumulated", adam, {"lr": 0.05, "eps": 0.01}, {"accumulate": 2}),
        ("accumulated_clipped", sgd, {"lr": 0.1}, {"accumulate": 3, "clip_norm": 2}),
    ]
    print("/* f(p) = sum(a sin(p)), twice that in every second step; p at the start, after a step. */")
    array("optim_a", [a])
    array("optim_start", [start])
    rows = []
    for name, kind, options, more in table:
        p = start.clone().requires_grad_()
        optimizer, values, every = kind([p], **options), [], more.get("accumulate", 1)
        for t in range(STEPS):
            ((1 + t % 2) * (a * p.sin()).sum() / every).backward()
            if (t + 1) % every == 0:
                if "clip_norm" in more:
                    nn.utils.clip_grad_norm_([p], more["clip_norm"])
                if "clip_value" in more:
                    nn.utils.clip_grad_value_([p], more["clip_value"])
                optimizer.step()
                optimizer.zero_grad()
            values.append(p.detach().clone())
        array(f"optim_{name}", values)
        rows.append(f'    {{"{name}", {{{ours(kind, options, more)}}}, optim_{name}}},')
    print("static const struct {")
    print("    const char *name;")
    print("    sg_optimizer_options options;")
    print("    const double *expected;")
    print("} torch_optimizer[] = {")
    print("\n".join(rows))
    print("};\n")


def lazy():
    """Rows of a table that a step does not look up stay as they are, moments too. (SparseAdam adds
    epsilon elsewhere than Adam does: here it is next to nothing.)"""
    table = nn.Embedding(SIZE, IN, sparse=True)
    rows = torch.tensor([[0, 3], [3, 3], [1, 0], [4, 1], [0, 0], [3, 4]])
    a, start, values = draw(STEPS, 2, IN) * 4, draw(SIZE, IN), []
    with torch.no_grad():
        table.weight.copy_(start)
    optimizer = torch.optim.SparseAdam(table.parameters(), lr=0.05, eps=1e-30)
    for t in range(STEPS):
        optimizer.zero_grad()
        (a[t] * table(rows[t]).sin()).sum().backward()
        optimizer.step()
        values.append(table.weight.detach().clone())
    print("/* f(rows of p) = sum(a sin(rows)), with other rows and a in each step; p after it. */")
    print(f"static const int lazy_rows[] = {{{', '.join(map(str, rows.flatten().tolist()))}}};")
    array("lazy_a", [a])
    array("lazy_start", [start])
    array("lazy_expected", values)
    print()


def ours(kind, options, more):
    names = {"lr": "rate", "weight_decay": "decay", "eps": "epsilon"}
    words = [f".kind = SG_{kind.__name__.upper()}"]
    for key, value in options.items():
        if key == "betas":
            words.append(".beta1 = %r, .beta2 = %r" % value)
        else:
            words.append(f".{names.get(key, key)} = {str(value).lower()}")
    return ", ".join(words + [f".{key} = {value}" for key, value in more.items()])


# ---- schedules ----------------------------------------------------------------------------------


def schedules():
    def inverse_sqrt(warmup):
        return lambda o: lr_scheduler.LambdaLR(
            o, lambda k: warmup**0.5 * min((k + 1) ** -0.5, (k + 1) * warmup**-1.5)
        )

    def warm(steps, then):
        """The rate rises over so many steps, then a schedule begins."""
        return lambda o: lr_scheduler.SequentialLR(
            o,
            [
                lr_scheduler.LinearLR(o, start_factor=1 / steps, total_iters=steps - 1),
                then(o),
            ],
            milestones=[steps],
        )

    def step(o):
        return lr_scheduler.StepLR(o, 2, 0.25)

    def exponential(o):
        return lr_scheduler.ExponentialLR(o, 0.75)

    def cosine(o):
        return lr_scheduler.CosineAnnealingLR(o, 8, 0.125)

    table = [
        ("constant", "0", lambda o: lr_scheduler.ConstantLR(o, 1)),
        ("constant_warm", ".warmup = 4", warm(4, lambda o: lr_scheduler.ConstantLR(o, 1))),
        ("steps", ".kind = SG_STEPS, .factor = 0.25, .period = 2", step),
        ("steps_warm", ".kind = SG_STEPS, .factor = 0.25, .period = 2, .warmup = 3", warm(3, step)),
        ("exponential", ".kind = SG_EXPONENTIAL, .factor = 0.75, .period = 1", exponential),
        ("inverse_sqrt", ".kind = SG_INVERSE_SQRT, .warmup = 4", inverse_sqrt(4)),
        ("cosine", ".kind = SG_COSINE, .period = 8, .floor = 0.125", cosine),
        (
            "cosine_warm",
            ".kind = SG_COSINE, .period = 8, .floor = 0.125, .warmup = 3",
            warm(3, cosine),
        ),
    ]
    rows = []
    for name, options, make in table:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        schedule, rates = make(optimizer), []
        for _ in range(RATES):
            rates.append(torch.tensor(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            schedule.step()
        array(f"schedule_{name}", rates)
        rows.append(f'    {{"{name}", {{{options}}}, schedule_{name}}},')
    print("/* Of a rate of 0.5, from step 1 on. */")
    print("static const struct {")
    print("    const char *name;")
    print("    sg_schedule schedule;")
    print("    const double *expected;")
    print("} torch_schedule[] = {")
    print("\n".join(rows))
    print("};")


def main():
    print(f"/* By torch_cells.py with PyTorch {torch.__version__.split('+')[0]}. */")
    print('#include "optim/optim.h"\n')
    print("/* clang-format off */")
    print("enum {")
    for name in ["BATCH", "TIME", "IN", "HIDDEN", "CLASSES", "SIZE", "STEPS", "RATES"]:
        print(f"    {name} = {globals()[name]},")
    print("};\n")
    layers()
    losses()
    norm()
    attention()
    optimizers()
    lazy()
    schedules()


if __name__ == "__main__":
    main()
