#!/usr/bin/env python3
"""Writes what tests/test_recorded_seq2seq.c compares with: python3 seq2seq.py > seq2seq.h

Needs torch; not run by the tests. Encoder and decoder in their options: logits of a whole batch, or
losses by scheduled sampling, and gradients. Cells are torch's; the rest is written here, step by
step and row by row, from the papers that models.h names.
"""

import torch
from torch.nn import functional

from recording import array, head, named, record

BATCH, SOURCE, OTHER, TARGET, WORDS, EMBED, HIDDEN, WINDOW = 2, 3, 2, 3, 5, 2, 2, 1
LENGTHS, OTHER_LENGTHS, TARGET_LENGTHS, SMOOTHING = [3, 2], [1, 2], [3, 2], 0.125
IDS = [[4, 1, 3], [2, 4, 0]]
OTHER_IDS = [[3, 0], [4, 2]]  # of a second source
INPUTS, LABELS = [[1, 4, 3], [1, 2, 0]], [[4, 3, 2], [2, 3, 0]]
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


class Model:
    def __init__(self, cell, score=None, layers=1, context="both", bridge="state", summary="last",
                 sources=1, **flags):  # fmt: skip
        self.cell, self.score, self.layers, self.context = cell, score, layers, context
        self.bridge, self.summary = bridge, summary
        self.encoders = ["", "encoder1."][:sources]
        for flag in ["post", "feed", "coverage", "window", "one_way", "token_out", "tied"]:
            setattr(self, flag, flags.get(flag, False))

    def shapes(self):
        h, square, joined = HIDDEN, (HIDDEN, HIDDEN), len(self.encoders) * HIDDEN
        shapes = {"target": (WORDS, EMBED), "out.b": (WORDS,)}
        for encoder in self.encoders:
            shapes |= {encoder + key: shape for key, shape in self.encoder_shapes().items()}
        first = EMBED + (0 if self.post or self.context == "state" else joined) + self.feed * h
        for l in range(self.layers):
            shapes |= self.cell_shapes(f"decoder{l}", h if l else first, h)
            for state in "hc" if self.cell == "lstm" else "h":
                if self.context != "input" and self.bridge != "none":
                    shapes |= {f"bridge{l}{state}.w": (joined, h), f"bridge{l}{state}.b": (h,)}
        size = h + (0 if self.context == "state" else joined) + self.token_out * EMBED
        shapes |= {"readout.w": (size, h), "readout.b": (h,)}
        return shapes if self.tied else shapes | {"out.w": (h, WORDS)}

    def encoder_shapes(self):
        h, square = HIDDEN, (HIDDEN, HIDDEN)
        shapes, units = {"source": (WORDS, EMBED)}, h if self.one_way else h // 2
        for l in range(self.layers):
            for way in ["forward"] + ["backward"] * (not self.one_way):
                shapes |= self.cell_shapes(f"{way}{l}", h if l else EMBED, units)
            if self.summary == "attention":
                shapes |= {f"pool{l}.w": square, f"pool{l}.b": (h,), f"pool{l}.v": (h, 1)}
        shapes |= {"attention.wa": square} if self.score == "general" else {}
        if self.score == "concat":
            shapes |= {"attention.wq": square, "attention.wk": square, "attention.v": (h, 1)}
            shapes |= {"attention.wc": (1, h)} if self.coverage else {}
        return shapes | ({"attention.wp": square, "attention.vp": (h, 1)} if self.window else {})

    def cell_shapes(self, name, size, units):
        n = GATES[self.cell] * units
        shapes = {"wx": (size, n), "wh": (units, n), "b": (n,)}
        shapes |= {"bh": (n,)} if self.cell == "gru" else {}
        return {f"{name}.{key}": shape for key, shape in shapes.items()}

    def step(self, name, x, state):
        wx, wh, b = (self.p[f"{name}.{key}"] for key in ["wx", "wh", "b"])
        weights = (wx.T, wh.T, b, self.p.get(f"{name}.bh", torch.zeros_like(b)))
        if self.cell == "lstm":
            return torch.lstm_cell(x, state, *weights)
        step = torch.gru_cell if self.cell == "gru" else torch.rnn_tanh_cell
        return (step(x, state[0], *weights),)

    def zeros(self, units):
        return tuple(torch.zeros(1, units) for _ in range(2 if self.cell == "lstm" else 1))

    def read(self, words, encoder):
        """One sentence: states of the top layer; by layer what they say of it, and the last c."""
        x, said = self.p[encoder + "source"][words], []
        for l in range(self.layers):
            ways = [("forward", range(len(x)))]
            ways += [] if self.one_way else [("backward", reversed(range(len(x))))]
            made, last = [], []
            for way, order in ways:
                state, out = self.zeros(HIDDEN // len(ways)), [None] * len(x)
                for t in order:
                    state = self.step(f"{encoder}{way}{l}", x[t][None], state)
                    out[t] = state[0]
                made.append(torch.cat(out))
                last.append(state)
            x = torch.cat(made, -1)
            h, *c = [torch.cat(parts, -1) for parts in zip(*last)]
            said.append([self.summarize(x, h, f"{encoder}pool{l}."), *c])
        return x, said

    def summarize(self, x, last, name):
        if self.summary == "attention":  # Yang et al. 2016
            scores = torch.tanh(x @ self.p[name + "w"] + self.p[name + "b"]) @ self.p[name + "v"]
            return scores.softmax(0).T @ x
        pools = {"last": last, "mean": x.mean(0, True), "max": x.amax(0, True)}
        return pools[self.summary]

    def bridged(self, l, state, x):
        """q(s) = tanh(s W + b), or s"""
        if self.bridge == "none":
            return x
        return torch.tanh(x @ self.p[f"bridge{l}{state}.w"] + self.p[f"bridge{l}{state}.b"])

    def attend(self, h, memories, covered):
        """h [1,H]: the contexts of all sources, joined, the weights of the first."""
        all_ = [self.attend_one(e, h, m, covered) for e, m in zip(self.encoders, memories)]
        return torch.cat([context for context, _ in all_], -1), all_[0][1]

    def attend_one(self, encoder, h, memory, covered):
        p = lambda name: self.p[f"{encoder}attention.{name}"]
        keys = memory
        if self.score == "concat":  # Bahdanau et al. 2015; See et al. 2017
            inner = h @ p("wq") + keys @ p("wk")
            inner = inner + covered[:, None] @ p("wc") if self.coverage else inner
            scores = (torch.tanh(inner) @ p("v"))[:, 0]
        elif self.score == "general":  # Luong et al. 2015
            scores = (h @ p("wa") @ keys.T)[0]
        else:  # Vaswani et al. 2017
            scores = (h @ keys.T)[0] / HIDDEN**0.5
        if self.window:  # Luong's local-p
            at = len(memory) * torch.sigmoid(torch.tanh(h @ p("wp")) @ p("vp"))[0]
            off = torch.arange(len(memory)) - at
            weights = scores.masked_fill(off.abs() > WINDOW, -torch.inf).softmax(-1)
            weights = weights * torch.exp(-(off**2) / (2 * (WINDOW / 2) ** 2))
        else:
            weights = scores.softmax(-1)
        return weights[None] @ memory, weights

    def write(self, words, memories, said, truth):
        """Logits of one sentence; without truth each word but the first is the likeliest one."""
        p, logits = self.p, []
        if self.context == "input":
            states = [self.zeros(HIDDEN) for _ in said]
        else:
            states = [
                [self.bridged(l, s, x) for s, x in zip("hc", said[l])] for l in range(len(said))
            ]
        fixed = states[-1][0] if self.bridge == "both" else said[-1][0]
        feed, covered = torch.zeros(1, HIDDEN), torch.zeros(len(memories[0]))
        for t, word in enumerate(words):
            word = word if truth or t == 0 else int(logits[-1].argmax())
            y = p["target"][word][None]
            context = fixed  # without attention
            if self.score and not self.post:
                context, weights = self.attend(states[-1][0], memories, covered)
            inputs = [y] + [context] * (not self.post and self.context != "state")
            x = torch.cat(inputs + [feed] * self.feed, -1)
            for l in range(self.layers):
                states[l] = self.step(f"decoder{l}", x, states[l])
                x = states[l][0]
            if self.score and self.post:
                context, weights = self.attend(x, memories, covered)
            covered = covered + weights if self.score else covered
            seen = [y] * self.token_out + [context] * (self.context != "state") + [x]
            feed = torch.tanh(torch.cat(seen, -1) @ p["readout.w"] + p["readout.b"])
            out = p["target"].T if self.tied else p["out.w"]
            logits.append(feed @ out + p["out.b"])
        return torch.cat(logits)

    def logits(self, p, truth=True):
        self.p, rows = {key.removeprefix("m."): value for key, value in p.items()}, []
        for b, words in enumerate(INPUTS):
            sources = [IDS[b][: LENGTHS[b]], OTHER_IDS[b][: OTHER_LENGTHS[b]]]
            read = [self.read(ids, encoder) for ids, encoder in zip(sources, self.encoders)]
            memories, said = zip(*read)
            joined = [[torch.cat(x, -1) for x in zip(*layer)] for layer in zip(*said)]
            rows.append(self.write(words, memories, joined, truth))
        return torch.stack(rows)


def loss(logits):
    labels = torch.tensor(LABELS)
    for row, n in zip(labels, TARGET_LENGTHS):
        row[n:] = -100
    options = {"ignore_index": -100, "label_smoothing": SMOOTHING}
    return functional.cross_entropy(logits.transpose(1, 2), labels, **options)


def models():
    """As the test has them, in its order."""
    table = [
        ("scaled_pre", Model("gru", "scaled")),
        ("coverage", Model("rnn", "concat", coverage=True)),
        ("window_post_feed", Model("rnn", "general", post=True, feed=True, window=True)),
        ("general_post", Model("gru", "general", post=True)),
        ("cho", Model("gru", one_way=True, token_out=True)),
        ("sutskever", Model("lstm", one_way=True, context="state", bridge="none")),
        ("context_input", Model("rnn", context="input")),
        ("attention_input", Model("rnn", "concat", context="input", feed=True)),
        ("tied", Model("rnn", "scaled", tied=True, layers=2)),
        ("mean_bridged", Model("gru", bridge="both", summary="mean")),
        ("max", Model("rnn", bridge="none", summary="max", one_way=True)),
        ("pooled", Model("lstm", "scaled", summary="attention")),
        ("two_sources", Model("gru", "general", sources=2)),
        ("two_summaries", Model("rnn", sources=2, summary="mean", one_way=True)),
    ]
    for name, m in table:
        shapes = {"m." + key: shape for key, shape in m.shapes().items()}
        record(f"seq2seq_{name}", named(shapes, lambda p: [m.logits(p)]), [], shapes)
    m = table[0][1]
    shapes = {"m." + key: shape for key, shape in m.shapes().items()}
    for truth in [True, False]:
        f = lambda p: [loss(m.logits(p, truth))]
        record(f"seq2seq_{'teacher' if truth else 'free'}", named(shapes, f), [], shapes)


def main():
    head("seq2seq.py", [torch], BATCH=BATCH, SOURCE=SOURCE, TARGET=TARGET, OTHER=OTHER, WORDS=WORDS,
         EMBED=EMBED, HIDDEN=HIDDEN, WINDOW=WINDOW)  # fmt: skip
    ids = [("source", IDS), ("lengths", LENGTHS), ("other", OTHER_IDS),
           ("other_lengths", OTHER_LENGTHS), ("in", INPUTS), ("out", LABELS),
           ("target_lengths", TARGET_LENGTHS)]  # fmt: skip
    for name, values in ids:
        array(f"seq2seq_{name}", [torch.tensor(values)], "int")
    print(f"static const double seq2seq_smoothing = {SMOOTHING};")
    models()


if __name__ == "__main__":
    main()
