#!/usr/bin/env python3
"""Writes what tests/test_recorded_seq2seq.c compares with: python3 seq2seq.py > seq2seq.h

Needs torch; not run by the tests. Encoder and decoder in their options: logits of a whole batch, or
losses by scheduled sampling, and gradients. Cells are torch's; the rest is written here, step by
step and row by row, from the papers that models.h names.
"""

import torch
from torch.nn import functional

from recording import array, head, named, record

BATCH, SOURCE, OTHER, TARGET, WORDS, EMBED, HIDDEN, WINDOW, EXTRA = 2, 3, 2, 3, 5, 2, 2, 1, 3
LENGTHS, OTHER_LENGTHS, TARGET_LENGTHS, SMOOTHING = [3, 2], [1, 2], [3, 2], 0.125
COVERAGE_LOSS = 0.75
IDS = [[4, 1, 3], [2, 4, 0]]
OTHER_IDS = [[3, 0], [4, 2]]  # of a second source
INPUTS, LABELS = [[1, 4, 3], [1, 2, 0]], [[4, 3, 2], [2, 3, 0]]
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def fusion_shapes(name, kind, h, z):
    weights = {"add": {"wz": (z, h)} if z != h else {}, "restored": {"wc": (h + z, h)},
               "mlp": {"wh": (h, h), "wz": (z, h), "b": (h,)}}  # fmt: skip
    return {f"{name}.{key}": shape for key, shape in weights.get(kind, {}).items()}


def fuse(p, name, kind, h, z):
    """h + z or h + z Wz; [h; z]; [h; z] Wc; tanh(h Wh + z Wz + b)"""
    if kind == "add":
        return h + (z @ p[name + ".wz"] if name + ".wz" in p else z)
    if kind == "mlp":
        return torch.tanh(h @ p[name + ".wh"] + z @ p[name + ".wz"] + p[name + ".b"])
    both = torch.cat([h, z], -1)
    return both @ p[name + ".wc"] if kind == "restored" else both


class Model:
    def __init__(self, cell, score=None, layers=1, context="both", bridge="state", summary="last",
                 sources=1, merge="concat", extra=None, at=None, **flags):  # fmt: skip
        self.cell, self.score, self.layers, self.context = cell, score, layers, context
        self.bridge, self.summary, self.merge = bridge, summary, merge
        self.extra, self.at = extra, at  # how z is fused, and to what
        self.encoders = ["", "encoder1."][:sources]
        for flag in ["post", "feed", "coverage", "window", "monotonic", "one_way", "token_out", "tied"]:
            setattr(self, flag, flags.get(flag, False))

    def shapes(self):
        h, joined = HIDDEN, len(self.encoders) * HIDDEN
        widened = lambda size, at: size + (self.extra == "concat" and self.at == at) * EXTRA
        token = widened(EMBED, "input")
        shapes = {"target": (WORDS, EMBED), "out.b": (WORDS,)}
        for encoder in self.encoders:
            shapes |= {encoder + key: shape for key, shape in self.encoder_shapes().items()}
        first = token + (0 if self.post or self.context == "state" else joined) + self.feed * h
        for l in range(self.layers):
            shapes |= self.cell_shapes(f"decoder{l}", h if l else first, h)
            for state in "hc" if self.cell == "lstm" else "h":
                if self.context != "input" and self.bridge != "none":
                    shapes |= {f"bridge{l}{state}.w": (joined, h), f"bridge{l}{state}.b": (h,)}
        size = widened(h, "output") + (0 if self.context == "state" else joined)
        size += self.token_out * token
        met = EMBED if self.at == "input" else h
        shapes |= fusion_shapes("fusion", self.extra, met, EXTRA)
        shapes |= {"readout.w": (size, h), "readout.b": (h,)}
        return shapes if self.tied else shapes | {"out.w": (h, WORDS)}

    def encoder_shapes(self):
        h, square = HIDDEN, (HIDDEN, HIDDEN)
        halves = not self.one_way and self.merge == "concat"
        shapes, units = {"source": (WORDS, EMBED)}, h // 2 if halves else h
        for l in range(self.layers):
            for way in ["forward"] + ["backward"] * (not self.one_way):
                shapes |= self.cell_shapes(f"{way}{l}", h if l else EMBED, units)
            for state in "hc" if self.cell == "lstm" else "h":
                shapes |= fusion_shapes(f"merge{l}{state}", self.merge, h, h)
            if self.summary == "attention":
                shapes |= {f"pool{l}.w": square, f"pool{l}.b": (h,), f"pool{l}.v": (h, 1)}
        shapes |= {"attention.wa": square} if self.score == "general" else {}
        if self.score == "concat":
            shapes |= {"attention.wq": square, "attention.wk": square, "attention.v": (h, 1)}
            shapes |= {"attention.wc": (1, h)} if self.coverage else {}
        moves = self.window and not self.monotonic
        return shapes | ({"attention.wp": square, "attention.vp": (h, 1)} if moves else {})

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
                units = HIDDEN // len(ways) if self.merge == "concat" else HIDDEN
                state, out = self.zeros(units), [None] * len(x)
                for t in order:
                    state = self.step(f"{encoder}{way}{l}", x[t][None], state)
                    out[t] = state[0]
                made.append(torch.cat(out))
                last.append(state)
            merge = lambda s, x: x[0] if self.one_way else fuse(
                self.p, f"{encoder}merge{l}{s}", self.merge, *x)  # fmt: skip
            x = merge("h", made)
            h, *c = [merge(s, parts) for s, parts in zip("hc", zip(*last))]
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

    def attend(self, t, h, memories, covered):
        """h [1,H]: the contexts of all sources, joined, the weights of the first."""
        all_ = [self.attend_one(e, t, h, m, covered) for e, m in zip(self.encoders, memories)]
        return torch.cat([context for context, _ in all_], -1), all_[0][1]

    def attend_one(self, encoder, t, h, memory, covered):
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
        if self.monotonic:  # Luong's local-m
            off = torch.arange(len(memory)) - t
            weights = scores.masked_fill(off.abs() > WINDOW, -torch.inf).softmax(-1)
        elif self.window:  # Luong's local-p
            at = len(memory) * torch.sigmoid(torch.tanh(h @ p("wp")) @ p("vp"))[0]
            off = torch.arange(len(memory)) - at
            weights = scores.masked_fill(off.abs() > WINDOW, -torch.inf).softmax(-1)
            weights = weights * torch.exp(-(off**2) / (2 * (WINDOW / 2) ** 2))
        else:
            weights = scores.softmax(-1)
        return weights[None] @ memory, weights

    def write(self, words, memories, said, truth, z):
        """Logits of one sentence, and the weights of all steps; without truth each word but the
        first is the likeliest one."""
        p, logits, looked = self.p, [], []
        fused = lambda at, x: fuse(p, "fusion", self.extra, x, z) if at == self.at else x
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
            y = fused("input", p["target"][word][None])
            context = fixed  # without attention
            if self.score and not self.post:
                context, weights = self.attend(t, states[-1][0], memories, covered)
            inputs = [y] + [context] * (not self.post and self.context != "state")
            x = torch.cat(inputs + [feed] * self.feed, -1)
            for l in range(self.layers):
                h, *c = states[l]
                h = h if l else fused("state", h)
                states[l] = self.step(f"decoder{l}", x, (h, *c))
                x = states[l][0]
            if self.score and self.post:
                context, weights = self.attend(t, x, memories, covered)
            if self.score:
                covered = covered + weights
                looked.append(weights)
            seen = [y] * self.token_out + [context] * (self.context != "state")
            seen.append(fused("output", x))
            feed = torch.tanh(torch.cat(seen, -1) @ p["readout.w"] + p["readout.b"])
            out = p["target"].T if self.tied else p["out.w"]
            logits.append(feed @ out + p["out.b"])
        return torch.cat(logits), looked

    def logits(self, *inputs, truth=True):
        return torch.stack([logits for logits, _ in self.run(*inputs, truth=truth)])

    def run(self, *inputs, truth=True):
        """Of z, where there is any, and parameters by name: what `write` says of each sentence."""
        *z, p = inputs
        self.p, rows = {key.removeprefix("m."): value for key, value in p.items()}, []
        for b, words in enumerate(INPUTS):
            sources = [IDS[b][: LENGTHS[b]], OTHER_IDS[b][: OTHER_LENGTHS[b]]]
            read = [self.read(ids, encoder) for ids, encoder in zip(sources, self.encoders)]
            memories, said = zip(*read)
            joined = [[torch.cat(x, -1) for x in zip(*layer)] for layer in zip(*said)]
            own = z[0][b][None] if z else None
            rows.append(self.write(words, memories, joined, truth, own))
        return rows


def loss(rows):
    logits = torch.stack([logits for logits, _ in rows])
    labels = torch.tensor(LABELS)
    for row, n in zip(labels, TARGET_LENGTHS):
        row[n:] = -100
    options = {"ignore_index": -100, "label_smoothing": SMOOTHING}
    return functional.cross_entropy(logits.transpose(1, 2), labels, **options)


def coverage_loss(rows):
    """See et al. 2017, of real words: the sum over steps of min(a, what was looked at before)."""
    total = 0
    for (_, looked), n in zip(rows, TARGET_LENGTHS):
        for t in range(n):
            before = sum(looked[:t], torch.zeros_like(looked[t]))
            total = total + torch.minimum(looked[t], before).sum()
    return COVERAGE_LOSS * total / sum(TARGET_LENGTHS)


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
        ("merged", Model("lstm", "scaled", merge="mlp")),
        ("merged_added", Model("gru", "general", merge="add", layers=2)),
        ("moving_window", Model("rnn", "general", post=True, window=True, monotonic=True)),
        ("moving_window_pre", Model("gru", "scaled", window=True, monotonic=True)),
        ("extra_input", Model("gru", "general", token_out=True, extra="concat", at="input")),
        ("extra_added", Model("rnn", "scaled", post=True, extra="add", at="input")),
        ("extra_state", Model("lstm", "scaled", extra="mlp", at="state", layers=2)),
        ("extra_output", Model("gru", extra="restored", at="output")),
        ("extra_wide_output", Model("rnn", "scaled", extra="concat", at="output")),
    ]
    for name, m in table:
        shapes = {"m." + key: shape for key, shape in m.shapes().items()}
        z = [(BATCH, EXTRA)] * (m.extra is not None)
        record(f"seq2seq_{name}", named(shapes, lambda *x: [m.logits(*x)]), z, shapes)
    m = table[0][1]
    shapes = {"m." + key: shape for key, shape in m.shapes().items()}
    for truth in [True, False]:
        f = lambda p: [loss(m.run(p, truth=truth))]
        record(f"seq2seq_{'teacher' if truth else 'free'}", named(shapes, f), [], shapes)
    m = table[1][1]
    shapes = {"m." + key: shape for key, shape in m.shapes().items()}

    def covering(p):
        rows = m.run(p)
        return [loss(rows) + coverage_loss(rows)]

    record("seq2seq_coverage_loss", named(shapes, covering), [], shapes)


def main():
    head("seq2seq.py", [torch], BATCH=BATCH, SOURCE=SOURCE, TARGET=TARGET, OTHER=OTHER, WORDS=WORDS,
         EMBED=EMBED, HIDDEN=HIDDEN, WINDOW=WINDOW, EXTRA=EXTRA)  # fmt: skip
    ids = [("source", IDS), ("lengths", LENGTHS), ("other", OTHER_IDS),
           ("other_lengths", OTHER_LENGTHS), ("in", INPUTS), ("out", LABELS),
           ("target_lengths", TARGET_LENGTHS)]  # fmt: skip
    for name, values in ids:
        array(f"seq2seq_{name}", [torch.tensor(values)], "int")
    print(f"static const double seq2seq_smoothing = {SMOOTHING};")
    print(f"static const double seq2seq_lambda = {COVERAGE_LOSS};")
    models()


if __name__ == "__main__":
    main()
