#!/usr/bin/env python3
"""The model of models/seq2seq/ and its training once more, in PyTorch.

    torch_seq2seq.py --compare DIR     the same steps from the same weights: are the losses equal?
    torch_seq2seq.py --train DIR       trains to the end and prints BLEU on the validation pairs

DIR is what the program oracle_dump wrote; see README.md beside this file. Needs torch, safetensors,
sacrebleu. Recurrences are torch's own (nn.GRU, nn.LSTM, nn.RNN over packed sequences), gradients
its autograd, the update its Adam; only weights, batches and vocabularies come from the dump.
"""

import argparse
import copy
import json
import math
import os
import sys
import time

import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import rnn

PAD, UNK, START, STOP = range(4)
RESERVED = ["<pad>", "<unk>", "<start>", "<stop>"]
# Marks that the tokenizer cut off, and that stand right after a word, or right before one.
AFTER_WORDS, BEFORE_WORDS = set(".,!?;:)]}%…。，！？；：）"), set("([{¿¡（")


# ---- the model ----------------------------------------------------------------------------------


class Attention(nn.Module):
    """A softmax over time of dot: q k; general: q Wa k; concat: v tanh(q Wq + k Wk)."""

    def __init__(self, score, size):
        super().__init__()
        self.score = score
        if score == "general":
            self.wa = nn.Linear(size, size, bias=False)
        elif score == "concat":
            self.wq = nn.Linear(size, size, bias=False)
            self.wk = nn.Linear(size, size, bias=False)
            self.v = nn.Linear(size, 1, bias=False)

    def forward(self, query, memory, mask):
        """query [B,Q,H], memory [B,S,H], mask [B,S]: the contexts [B,Q,H]."""
        if self.score == "concat":
            sums = self.wq(query)[:, :, None] + self.wk(memory)[:, None]
            scores = self.v(torch.tanh(sums)).squeeze(-1)
        else:
            query = self.wa(query) if self.score == "general" else query
            scores = query @ memory.transpose(1, 2)
        weights = scores.masked_fill(~mask[:, None], -math.inf).softmax(-1)
        return weights @ memory


class Seq2Seq(nn.Module):
    def __init__(self, config, source_count, target_count):
        super().__init__()
        self.cell = ["rnn", "gru", "lstm"][config["cell"]]
        score = ["dot", "general", "concat", None][config["attention"]]
        self.post = config["attend"] == 1
        self.feed = config["feed"]
        embed, hidden, self.layers = config["embed"], config["hidden"], config["layers"]
        kind = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[self.cell]
        first = embed + (0 if self.post else hidden) + (hidden if self.feed else 0)
        self.source = nn.Embedding(source_count, embed)
        self.target = nn.Embedding(target_count, embed)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        self.bridge_h, self.bridge_c = nn.ModuleList(), nn.ModuleList()
        for layer in range(self.layers):
            size = hidden if layer else embed
            both = kind(size, hidden // 2, batch_first=True, bidirectional=True)
            self.encoder.append(both)
            self.decoder.append(kind(hidden if layer else first, hidden, batch_first=True))
            self.bridge_h.append(nn.Linear(hidden, hidden))
            if self.cell == "lstm":
                self.bridge_c.append(nn.Linear(hidden, hidden))
        self.attention = Attention(score, hidden) if score else None
        self.readout = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(hidden, target_count)
        self.dropout = nn.Dropout(config["dropout"])

    def encode(self, source, lengths):
        """source [B,S]: memory [B,S,H], mask [B,S], the final state [B,H], decoder states."""
        x, states = self.source(source), []
        for layer in range(self.layers):
            packed = rnn.pack_padded_sequence(
                self.dropout(x), lengths, batch_first=True, enforce_sorted=False
            )
            packed, last = self.encoder[layer](packed)
            x, _ = rnn.pad_packed_sequence(packed, batch_first=True)
            h, c = last if self.cell == "lstm" else (last, None)
            final = torch.cat([h[0], h[1]], -1)
            state = torch.tanh(self.bridge_h[layer](final))[None]
            if self.cell == "lstm":
                cells = torch.tanh(self.bridge_c[layer](torch.cat([c[0], c[1]], -1)))[None]
                state = (state, cells)
            states.append(state)
        mask = torch.arange(x.shape[1])[None] < lengths[:, None]
        return x, mask, final, states

    def attend(self, query, memory, mask, final):
        """Without attention the context is the encoder's final state."""
        if self.attention is None:
            return final[:, None].expand(-1, query.shape[1], -1)
        return self.attention(query, memory, mask)

    def steps(self, x, states, memory, mask, final, feed):
        """x [B,T,E]: attentional states [B,T,H], and where the decoder stands afterwards."""
        if self.post and not self.feed:
            return self.stretch(x, states, memory, mask, final) + (feed,)
        made = []
        for t in range(x.shape[1]):
            one, inputs = x[:, t : t + 1], []
            if not self.post:
                top = states[-1][0] if self.cell == "lstm" else states[-1]
                inputs.append(self.attend(top.transpose(0, 1), memory, mask, final))
            context = inputs[0] if inputs else None
            inputs += [feed] if self.feed else []
            one = torch.cat([one] + inputs, -1)
            feed, states = self.stretch(one, states, memory, mask, final, context)
            made.append(feed)
        return torch.cat(made, 1), states, feed

    def stretch(self, x, states, memory, mask, final, context=None):
        now = []
        for layer in range(self.layers):
            if layer:
                x = self.dropout(x)
            x, state = self.decoder[layer](x, states[layer])
            now.append(state)
        if context is None:
            context = self.attend(x, memory, mask, final)
        return torch.tanh(self.readout(torch.cat([context, x], -1))), now

    def forward(self, source, source_lengths, target_in):
        memory, mask, final, states = self.encode(source, source_lengths)
        x = self.dropout(self.target(target_in))
        feed = torch.zeros_like(final)[:, None]
        made, _, _ = self.steps(x, states, memory, mask, final, feed)
        return self.out(self.dropout(made))

    @torch.no_grad()
    def greedy(self, source, lengths, most):
        """Target ids of each row, without the stop token."""
        memory, mask, final, states = self.encode(source, lengths)
        feed = torch.zeros_like(final)[:, None]
        last = torch.full((len(source), 1), START)
        rows, open_rows = [[] for _ in source], set(range(len(source)))
        while open_rows and most > 0:
            made, states, feed = self.steps(self.target(last), states, memory, mask, final, feed)
            last = self.out(made).argmax(-1)
            for row in sorted(open_rows):
                token = int(last[row, 0])
                open_rows.discard(row) if token == STOP else rows[row].append(token)
            most -= 1
        return rows


# ---- what the dump holds ------------------------------------------------------------------------


def lines(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


class Dump:
    def __init__(self, folder):
        self.run = lines(folder, "run.json")[0]
        with safe_open(os.path.join(folder, "model.safetensors"), "pt") as f:
            texts = f.metadata()
            self.tensors = {name: f.get_tensor(name) for name in f.keys()}
        self.config = json.loads(texts["translator"])
        self.target = json.loads(texts["target_vocabulary"])
        self.words = RESERVED + self.target["tokens"]
        self.sources = len(json.loads(texts["source_vocabulary"])["tokens"]) + len(RESERVED)

    def text(self, ids):
        """As sg_decode has it."""
        words, text, last = self.target["units"] == "word", "", ""
        for word in (self.words[i] for i in ids if i not in (PAD, START)):
            close = word in AFTER_WORDS or last in BEFORE_WORDS
            space = words and last and not (close and self.target["punctuation"])
            text += " " + word if space else word
            last = word
        return text

    def model(self, dropout):
        config = dict(self.config, dropout=dropout)
        model = Seq2Seq(config, self.sources, len(self.words))
        self.load(model)
        return model

    @torch.no_grad()
    def load(self, model):
        """Rows are examples there, so every matrix is transposed here. A cell has one bias but for
        GRU's second; torch's second bias of the others stays 0, since Adam would move both."""
        left = {name.split(".", 1)[1]: value for name, value in self.tensors.items()}

        def put(parameter, name, turn=True):
            value = left.pop(name)
            parameter.copy_(value.T if turn and value.ndim == 2 else value)

        def cell(module, suffix, name):
            put(getattr(module, "weight_ih" + suffix), name + ".wx")
            put(getattr(module, "weight_hh" + suffix), name + ".wh")
            put(getattr(module, "bias_ih" + suffix), name + ".b")
            second = getattr(module, "bias_hh" + suffix)
            if name + ".bh" in left:
                put(second, name + ".bh")
            else:
                second.zero_().requires_grad_(False)

        def linear(module, name):
            put(module.weight, name + ".w")
            put(module.bias, name + ".b")

        put(model.source.weight, "source", turn=False)
        put(model.target.weight, "target", turn=False)
        for layer in range(model.layers):
            cell(model.encoder[layer], "_l0", f"forward{layer}")
            cell(model.encoder[layer], "_l0_reverse", f"backward{layer}")
            cell(model.decoder[layer], "_l0", f"decoder{layer}")
            linear(model.bridge_h[layer], f"bridge{layer}h")
            if model.cell == "lstm":
                linear(model.bridge_c[layer], f"bridge{layer}c")
        for name, _ in model.attention.named_parameters() if model.attention else []:
            what = name.split(".")[0]
            put(getattr(model.attention, what).weight, "attention." + what)
        linear(model.readout, "readout")
        linear(model.out, "out")
        if left:
            sys.exit(f"parameters that PyTorch's model has not: {sorted(left)}")


def padded(rows):
    return rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True, padding_value=PAD)


def tensors_of(batch):
    source, target = batch["source"], batch["target"]
    lengths = torch.tensor([len(s) for s in source])
    before = padded([[START] + t for t in target])
    after = padded([t + [STOP] for t in target])
    return padded(source), lengths, before, after


# ---- training -----------------------------------------------------------------------------------


class Trainer:
    def __init__(self, dump, dropout):
        self.run = dump.run
        self.model = dump.model(dropout)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.adam = torch.optim.Adam(self.parameters, lr=self.run["lr"])

    def loss(self, batch, smoothing, reduction="mean"):
        source, lengths, before, after = tensors_of(batch)
        logits = self.model(source, lengths, before)
        return F.cross_entropy(
            logits.flatten(0, 1),
            after.flatten(),
            ignore_index=PAD,
            label_smoothing=smoothing,
            reduction=reduction,
        )

    def step(self, batch):
        """Loss and gradient norm, before the update."""
        self.model.train()
        self.adam.zero_grad()
        loss = self.loss(batch, self.run["smoothing"])
        loss.backward()
        clip = self.run["clip"] or math.inf
        norm = nn.utils.clip_grad_norm_(self.parameters, clip)
        self.adam.step()
        return loss.item(), norm.item()

    @torch.no_grad()
    def validate(self, batches):
        self.model.eval()
        total = tokens = 0
        for batch in batches:
            total += self.loss(batch, 0, "sum").item()
            tokens += sum(len(t) + 1 for t in batch["target"])
        return total / tokens

    def translate(self, batches, most):
        self.model.eval()
        made = []
        for batch in batches:
            source, lengths, _, _ = tensors_of(batch)
            made += self.model.greedy(source, lengths, most)
        return made


def compare(folder, tolerance):
    dump = Dump(folder)
    trainer, worst = Trainer(dump, 0), 0
    ours = lines(folder, "losses.jsonl")
    batches = lines(folder, "batches.jsonl")
    if not ours or len(batches) < len(ours):
        sys.exit(f"{folder}: {len(batches)} batches, {len(ours)} losses")
    print(f"{'step':>4} {'seqgrad':>12} {'PyTorch':>12} {'relative':>9} {'norm':>9} {'norm':>9}")
    for step, (batch, mine) in enumerate(zip(batches, ours), 1):
        loss, norm = trainer.step(batch)
        difference = abs(loss - mine["loss"]) / abs(loss)
        worst = max(worst, difference) if difference == difference else math.inf
        print(
            f"{step:4} {mine['loss']:12.7f} {loss:12.7f} {difference:9.1e}"
            f" {mine['norm']:9.4f} {norm:9.4f}"
        )
    good = worst <= tolerance
    print(f"worst {worst:.2e} of {len(ours)} steps: {'ok' if good else 'bad'}")
    return 0 if good else 1


def scores(texts, valid):
    import sacrebleu

    reference = [r for batch in valid for r in batch["reference"]]
    return [
        round(sacrebleu.corpus_bleu(texts, [reference], lowercase=low).score, 4)
        for low in (False, True)
    ]


def train(folder, epochs, patience, seed, out):
    dump = Dump(folder)
    torch.manual_seed(seed or dump.run["seed"])
    trainer = Trainer(dump, dump.config["dropout"])
    valid = lines(folder, "valid.jsonl")
    batches = lines(folder, "batches.jsonl")
    best, kept, since, start = math.inf, None, 0, time.time()
    last = min(epochs or math.inf, batches[-1]["epoch"] + 1)
    for epoch in range(last):
        total = tokens = 0
        for batch in (b for b in batches if b["epoch"] == epoch):
            n = sum(len(t) + 1 for t in batch["target"])
            total += trainer.step(batch)[0] * n
            tokens += n
        loss = trainer.validate(valid)
        print(
            f"epoch {epoch + 1} loss {total / tokens:.4f} valid_loss {loss:.4f}"
            f" {time.time() - start:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        since = 0 if loss < best else since + 1
        if loss < best:
            best, kept = loss, copy.deepcopy(trainer.model.state_dict())
        if since >= patience:
            break
    trainer.model.load_state_dict(kept)
    texts = [dump.text(t) for t in trainer.translate(valid, dump.config["max_length"])]
    if out:
        with open(out, "w", encoding="utf-8") as f:
            f.writelines(t + "\n" for t in texts)
    cased, uncased = scores(texts, valid)
    result = {"bleu": cased, "bleu_lower_case": uncased, "valid_loss": round(best, 4)}
    result["seconds"] = round(time.time() - start)
    print(json.dumps(result))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--compare", metavar="DIR", help="losses step by step")
    parser.add_argument("--train", metavar="DIR", help="to the end, then BLEU")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="relative, of a loss")
    parser.add_argument("--epochs", type=int, default=0, help="at most; 0: all in the dump")
    parser.add_argument("--patience", type=int, default=3, help="epochs without improvement")
    parser.add_argument("--seed", type=int, default=0, help="of dropout; 0: the dump's")
    parser.add_argument("--out", metavar="FILE", help="translations of the validation pairs")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.compare:
        return compare(args.compare, args.tolerance)
    if args.train:
        return train(args.train, args.epochs, args.patience, args.seed, args.out)
    parser.error("--compare DIR or --train DIR")


if __name__ == "__main__":
    sys.exit(main())
