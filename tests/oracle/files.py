#!/usr/bin/env python3
"""Writes what tests/test_recorded_files.c reads: python3 files.py > files.h

Needs torch, safetensors, gensim; not run by the tests. Files of other programs, byte by byte: word
vectors as gensim writes them; state dicts of PyTorch, and what their models compute.
"""

import os
import tempfile

import gensim
import safetensors.torch
import torch
from torch import nn

from recording import Draw, array, head

WORDS, SIZE, HIDDEN, BATCH, TIME = 5, 2, 3, 2, 3
UNITS, FEATURES, HEADS, WIDE = 2, 4, 2, 3  # of layers
IDS = [[1, 4, 0], [3, 3, 2]]


def file(name, data):
    print(f"static const unsigned char {name}[] = {{")
    for i in range(0, len(data), 20):
        print("   " + "".join(f" {b}," for b in data[i : i + 20]))
    print("};")


def word_vectors():
    vectors = gensim.models.KeyedVectors(SIZE)
    words = ["</s>", "the", "naïve", "猫", "New_York"]
    values = torch.rand(WORDS, SIZE).float() * 2 - 1
    vectors.add_vectors(words, values.numpy())
    with tempfile.TemporaryDirectory() as folder:
        for name, binary in [("gensim_text", False), ("gensim_binary", True)]:
            path = os.path.join(folder, name)
            vectors.save_word2vec_format(path, binary=binary)
            with open(path, "rb") as f:
                file(name, f.read())
    print("static const char *const gensim_words[] = {%s};" % ", ".join(f'"{w}"' for w in words))
    array("gensim_values", [values.double()])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, SIZE)
        self.rnn = nn.GRU(SIZE, HIDDEN, batch_first=True)
        self.out = nn.Linear(HIDDEN, WORDS)

    def forward(self, ids):
        return self.out(self.rnn(self.embedding(ids))[0])


def state_dict():
    model = Model().float()
    file("state_dict", safetensors.torch.save(model.state_dict()))
    print(
        "/* Logits, cotangents drawn as in recorded.h, and gradients in the order of the names. */"
    )
    model.double()
    logits = model(torch.tensor(IDS))
    logits.backward(Draw()(*logits.shape))
    array("state_ids", [torch.tensor(IDS)], "int")
    array("state_expected", [logits] + [p.grad for _, p in sorted(model.named_parameters())])


def layer(name, module, x, values):
    """A layer of PyTorch's own, of which no parameter is 0 or 1, over a drawn x."""
    for p in module.float().parameters():
        nn.init.uniform_(p, -1, 1)
    file(name, safetensors.torch.save(module.state_dict()))
    names = sorted(module.state_dict())
    print(f"static const char *const {name}_names[] = {{")
    print("\n".join(f'    "{n}",' for n in names) + "\n};")
    module.double()
    draw = Draw()
    x = draw(*x).requires_grad_()
    values = values(module, x)
    sum((v * draw(*v.shape)).sum() for v in values).backward()
    array(f"{name}_expected", [*values, x.grad] + [module.get_parameter(n).grad for n in names])


def layers():
    print("/* x is drawn; values, gradients of x and in the order of the names. */")

    def lstm(module, x):
        y, (h, c) = module(x)
        return [y, h, c]

    module = nn.LSTM(SIZE, UNITS, num_layers=2, bidirectional=True, batch_first=True)
    layer("lstm", module, (BATCH, TIME, SIZE), lstm)
    module = nn.TransformerEncoderLayer(FEATURES, HEADS, WIDE, 0, "relu", batch_first=True)
    layer("encoder", module, (BATCH, TIME, FEATURES), lambda module, x: [module(x)])


def main():
    torch.manual_seed(22)
    head("files.py", [torch, safetensors, gensim], WORDS=WORDS, SIZE=SIZE, HIDDEN=HIDDEN,
         BATCH=BATCH, TIME=TIME, UNITS=UNITS, FEATURES=FEATURES, HEADS=HEADS, WIDE=WIDE)  # fmt: skip
    word_vectors()
    state_dict()
    layers()


if __name__ == "__main__":
    main()
