"""The workloads of seqgrad-bench in PyTorch, for check.py: what they read, and their losses.

Weights are [in, out], in our order of gates, and named as ours. LSTMs are PyTorch's own; sequences
of different lengths are packed.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils import rnn

START, STOP = 2, 3  # of greedy and beam search


# ---- data ----------------------------------------------------------------------------------------


class Numbers:
    """A flat file of integers, read from its beginning."""

    def __init__(self, folder, name):
        self.all = np.fromfile(os.path.join(folder, name), dtype="<i4")
        self.at = 0

    def one(self):
        self.at += 1
        return int(self.all[self.at - 1])

    def some(self, n):
        self.at += n
        return torch.from_numpy(self.all[self.at - n : self.at].astype(np.int64))


def stream(folder, name, rows, time):
    tokens = torch.from_numpy(Numbers(folder, name).all.astype(np.int64))
    n = (len(tokens) - 1) // rows
    x, y = tokens[: n * rows].view(rows, n), tokens[1 : n * rows + 1].view(rows, n)
    return lambda i: (x[:, i * time : (i + 1) * time], y[:, i * time : (i + 1) * time])


def sentences(folder, name):
    n = Numbers(folder, name)
    out = []
    for _ in range(n.one()):
        length = n.one()
        out.append((n.some(length), n.some(length)))
    return out


def pairs(folder):
    n = Numbers(folder, "s2s.i32")
    batches, size = n.one(), n.one()
    out = []
    for _ in range(batches * size):
        s, t = n.one(), n.one()
        out.append((n.some(s), n.some(t)))
    return out, size


def trees(folder):
    n = Numbers(folder, "trees.i32")
    out = []
    for _ in range(n.one()):
        leaves = n.one()
        out.append((n.some(leaves), n.some(2 * (leaves - 1)).view(-1, 2).tolist(), n.one()))
    return out


# ---- parts of models -----------------------------------------------------------------------------


def linear(p, name, x):
    return x @ p[name + ".w"] + p[name + ".b"]


def lstm(p, names, x, state=None):
    """One layer over x, [T,B,I] or packed; two names: both directions. Returns h, and the final
    state."""
    packed = isinstance(x, rnn.PackedSequence)
    hidden = p[names[0] + ".wh"].shape[0]
    weights = []
    for name in names:
        wx, wh, b = (p[f"{name}.{kind}"] for kind in ("wx", "wh", "b"))
        weights += [wx.t().contiguous(), wh.t().contiguous(), b, torch.zeros_like(b)]
    batch = int(x.batch_sizes[0]) if packed else x.shape[1]
    zero = torch.zeros(len(names), batch, hidden)
    state = list(state or (zero, zero))
    both = len(names) == 2
    if not packed:
        h, *final = torch.lstm(x, state, weights, True, 1, 0.0, True, both, False)
        return h, final
    h, *final = torch.lstm(x.data, x.batch_sizes, state, weights, True, 1, 0.0, True, both)
    return rnn.PackedSequence(h, x.batch_sizes, x.sorted_indices, x.unsorted_indices), final


# ---- workloads: each gives a function from the step's number to the loss -------------------------


def words(p, folder, time):
    batch = stream(folder, "lm10k.i32", 20, time)
    state = [None, None]

    def loss(i):
        x, y = batch(i)
        h = F.embedding(x.t(), p["words"])
        for layer in range(2):
            h, final = lstm(p, [f"lstm{layer}"], h, state[layer])
            state[layer] = [s.detach() for s in final]
        return F.cross_entropy(linear(p, "out", h).flatten(0, 1), y.t().flatten())

    return loss


def w3a(p, folder):
    batch = stream(folder, "char96.i32", 1, 25)
    state = [torch.zeros(1, 1, p["rnn.wh"].shape[0])]

    def loss(i):
        x, y = batch(i)
        wx, wh, b = p["rnn.wx"], p["rnn.wh"], p["rnn.b"]
        weights = [wx.t().contiguous(), wh.t().contiguous(), b, torch.zeros_like(b)]
        x = F.one_hot(x.t(), 96).float()
        h, final = torch.rnn_tanh(x, state[0], weights, True, 1, 0.0, True, False, False)
        state[0] = final.detach()
        return F.cross_entropy(linear(p, "out", h).flatten(0, 1), y.t().flatten(), reduction="sum")

    return loss


def w3b(p, folder):
    batch = stream(folder, "char96.i32", 50, 50)
    state = [None, None]

    def loss(i):
        x, y = batch(i)
        h = F.one_hot(x.t(), 96).float()
        for layer in range(2):
            h, final = lstm(p, [f"lstm{layer}"], h, state[layer])
            state[layer] = [s.detach() for s in final]
        return F.cross_entropy(linear(p, "out", h).flatten(0, 1), y.t().flatten())

    return loss


class Translation:
    """The model of w4 and w8: general attention, or Bahdanau's where it has those weights."""

    def __init__(self, p):
        self.p = {name.removeprefix("translate."): x for name, x in p.items()}
        self.bahdanau = "attention.v" in self.p

    def encode(self, rows):
        p = self.p
        lengths = torch.tensor([len(r) for r in rows])
        x = F.embedding(rnn.pad_sequence(rows), p["source"])
        packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        # sorted by length; what comes back is in the sentences' order again
        h, (hn, cn) = lstm(p, ["forward0", "backward0"], packed)
        h, _ = rnn.pad_packed_sequence(h)
        back = packed.unsorted_indices
        self.values = h.transpose(0, 1)  # [B,S,H]
        self.keys = self.values @ p["attention.wk"] if self.bahdanau else self.values
        self.padding = torch.arange(h.shape[0])[None] >= lengths[:, None]
        final = [torch.cat([s[0], s[1]], 1)[back] for s in (hn, cn)]
        self.h, self.c = (torch.tanh(linear(p, f"bridge0{k}", s)) for k, s in zip("hc", final))
        self.feed = torch.zeros_like(self.h)

    def step(self, word):
        p = self.p
        x = torch.cat([F.embedding(word, p["target"]), self.feed], 1)
        z = x @ p["decoder0.wx"] + p["decoder0.b"] + self.h @ p["decoder0.wh"]
        i, f, g, o = z.chunk(4, 1)
        self.c = torch.sigmoid(f) * self.c + torch.sigmoid(i) * torch.tanh(g)
        self.h = torch.sigmoid(o) * torch.tanh(self.c)
        if self.bahdanau:
            q = self.h @ p["attention.wq"]
            score = (torch.tanh(q[:, None] + self.keys) @ p["attention.v"]).squeeze(2)
        else:
            score = torch.bmm(self.keys, (self.h @ p["attention.wa"])[:, :, None]).squeeze(2)
        a = torch.softmax(score.masked_fill(self.padding, -torch.inf), 1)
        context = torch.bmm(a[:, None], self.values).squeeze(1)
        self.feed = torch.tanh(linear(p, "readout", torch.cat([context, self.h], 1)))
        return self.feed

    def logits(self, feed):
        return linear(self.p, "out", feed)


def w4(p, folder):
    data, size = pairs(folder)
    m = Translation(p)
    start, stop = torch.tensor([1]), torch.tensor([2])

    def loss(i):
        batch = data[i % 8 * size : (i % 8 + 1) * size]
        m.encode([s for s, _ in batch])
        x = rnn.pad_sequence([torch.cat([start, t]) for _, t in batch])
        y = rnn.pad_sequence([torch.cat([t, stop]) for _, t in batch], padding_value=-1)
        out = torch.stack([m.step(x[t]) for t in range(x.shape[0])])
        logits = m.logits(out).flatten(0, 1)
        return F.cross_entropy(logits, y.flatten(), ignore_index=-1, reduction="sum") / size

    return loss


def w5(p, folder, size):
    data = sentences(folder, "tag.i32" if size > 1 else "tag1.i32")
    cycle = 16 if size > 1 else 64

    def loss(i):
        batch = data[i % cycle * size : (i % cycle + 1) * size]
        lengths = torch.tensor([len(x) for x, _ in batch])
        x = F.embedding(rnn.pad_sequence([x for x, _ in batch]), p["words"])
        h = rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        for layer in range(2):
            h, _ = lstm(p, [f"forward{layer}", f"backward{layer}"], h)
        h, _ = rnn.pad_packed_sequence(h)
        y = rnn.pad_sequence([y for _, y in batch], padding_value=-1)
        logits = linear(p, "out", h).flatten(0, 1)
        loss.words = torch.cat([x for x, _ in batch]).unique()
        return F.cross_entropy(logits, y.flatten(), ignore_index=-1, reduction="sum")

    return loss


def w6(p, folder):
    batch, heads = stream(folder, "lm8k.i32", 16, 128), 4

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], p[name + ".gain"], p[name + ".bias"])

    def block(name, x):
        b, t, d = x.shape
        qkv = linear(p, name + ".self.qkv", norm(name + ".norm0", x)).view(b, t, 3, heads, d // heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d)
        x = x + linear(p, name + ".self.out", a)
        wide = F.gelu(linear(p, name + ".widen", norm(name + ".norm2", x)))
        return x + linear(p, name + ".narrow", wide)

    def loss(i):
        x, y = batch(i)
        h = F.embedding(x, p["words"]) + p["lm.position"]
        for layer in range(4):
            h = block(f"lm.block{layer}", h)
        return F.cross_entropy(linear(p, "out", norm("lm.last", h)).flatten(0, 1), y.flatten())

    return loss


def w7(p, folder):
    data, size = trees(folder), 32

    def leaf(word):
        i, o, u = linear(p, "leaf", p["words"][word]).chunk(3, 0)
        c = torch.sigmoid(i) * torch.tanh(u)
        return torch.sigmoid(o) * torch.tanh(c), c

    def node(l, r):
        i, fl, fr, o, u = linear(p, "node", torch.cat([l[0], r[0]])).chunk(5, 0)
        c = torch.sigmoid(i) * torch.tanh(u) + torch.sigmoid(fl) * l[1] + torch.sigmoid(fr) * r[1]
        return torch.sigmoid(o) * torch.tanh(c), c

    def loss(i):
        total = 0
        for words_, children, label in data[i % 8 * size : (i % 8 + 1) * size]:
            s = [leaf(w) for w in words_.tolist()]
            for l, r in children:
                s.append(node(s[l], s[r]))
            total = total + F.cross_entropy(linear(p, "out", s[-1][0]), torch.tensor(label))
        return total

    return loss


def w8(p, folder, single, beam):
    data, size = pairs(folder)
    starts = range(0, len(data), 61 if single else size)
    data = [data[i : i + (1 if single else 32)] for i in starts]
    m = Translation(p)

    def greedy(rows, steps):
        word, total = torch.full((len(rows),), START), 0.0
        for _ in range(steps):
            word = m.logits(m.step(word)).argmax(1)
            total += float(word.sum())
        return torch.tensor(total / len(rows) / steps)

    def search(rows, steps):
        n, k = len(rows), 5
        again = torch.arange(n).repeat_interleave(k)
        for name in ("values", "keys", "padding", "h", "c", "feed"):
            setattr(m, name, getattr(m, name)[again])
        word, score = torch.full((n * k,), START), torch.full((n, k), -1e30)
        score[:, 0] = 0
        for _ in range(steps):
            logp = F.log_softmax(m.logits(m.step(word)), 1)
            count = logp.shape[1]
            score, best = (logp.view(n, k, count) + score[:, :, None]).view(n, -1).topk(k, 1)
            rows_ = (best // count + torch.arange(n)[:, None] * k).flatten()
            word = (best % count).flatten()
            m.h, m.c, m.feed = m.h[rows_], m.c[rows_], m.feed[rows_]
        return score[:, 0].mean()

    def loss(i):
        with torch.no_grad():
            batch = data[i % (20 if single else 4)]
            m.encode([s for s, _ in batch])
            steps = max(len(s) for s, _ in batch) + 5
            return (search if beam else greedy)([s for s, _ in batch], steps)

    return loss


def w9(p, folder):
    def loss(i):
        y = torch.zeros_like(p["a"])
        for _ in range(10000):
            y = torch.tanh(y * p["a"] + p["b"])
        return y.sum()

    return loss
