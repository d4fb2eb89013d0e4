"""Writes data for seqgrad-bench: made-up words by Zipf's law, sentences of log-normal lengths.

    data.py DIR

All files are little-endian 32-bit integers:

    lm10k.i32, lm8k.i32, char96.i32   tokens
    s2s.i32    batches, pairs in a batch; each pair: two lengths, source, target (words from 3 on)
    tag.i32    sentences; each: length, words (from 1 on), tags; those of a batch of 32 side by side
    tag1.i32   the same for batches of one
    trees.i32  trees; each: leaves, words, pairs of children (nodes after the leaves, from below to
               the root), label
"""
import array
import bisect
import itertools
import math
import os
import random
import sys


class Source:
    """Draws of one file: the same every time."""

    def __init__(self, name):
        self.random = random.Random(name)

    def words(self, count, first, end):
        """Words first..end-1, of which the r-th is drawn in proportion to 1 / (r + 2)."""
        weights = itertools.accumulate(1 / (r + 2) for r in range(1, end - first + 1))
        table = list(weights)
        return [
            first + bisect.bisect(table, self.random.random() * table[-1], hi=len(table) - 1)
            for _ in range(count)
        ]

    def length(self, least, most, mean=15, spread=0.5):
        x = self.random.lognormvariate(math.log(mean) - spread**2 / 2, spread)
        return min(max(round(x), least), most)


def by_length(items, size, pool, key):
    """Batches of `size` items of about the same length, in any order."""
    out = []
    for i in range(0, len(items), size * pool):
        part = sorted(items[i : i + size * pool], key=key)
        out += [part[j : j + size] for j in range(0, len(part), size)]
    random.Random(1).shuffle(out)
    return out


def translation(source, batches=64, size=64, vocabulary=8000):
    pairs = []
    for _ in range(batches * size):
        s = source.length(3, 50)
        t = min(max(round(s * source.random.lognormvariate(0, 0.15)), 3), 50)
        pairs.append((s, t))
    out = [batches, size]
    for s, t in itertools.chain(*by_length(pairs, size, 16, key=lambda p: p)):
        out += [s, t] + source.words(s + t, 3, vocabulary)
    return out


def tagged(source, batch, count, vocabulary=20000, tags=17):
    lengths = [source.length(1, 60) for _ in range(count)]
    if batch > 1:
        lengths = itertools.chain(*by_length(lengths, batch, 32, key=lambda n: -n))
    out = [count]
    for n in lengths:
        out += [n] + source.words(n, 1, vocabulary)
        out += [source.random.randrange(tags) for _ in range(n)]
    return out


def trees(source, count=512, vocabulary=5000, labels=5):
    out = [count]
    for _ in range(count):
        leaves = source.random.randint(10, 40)
        out += [leaves] + source.words(leaves, 0, vocabulary)
        row = list(range(leaves))
        for node in range(leaves, 2 * leaves - 1):  # joins neighbours until one is left
            at = source.random.randrange(len(row) - 1)
            out += row[at : at + 2]
            row[at : at + 2] = [node]
        out.append(source.random.randrange(labels))
    return out


FILES = {
    "lm10k.i32": lambda s: s.words(400_001, 0, 10000),
    "lm8k.i32": lambda s: s.words(400_001, 0, 8000),
    "char96.i32": lambda s: s.words(500_001, 0, 96),
    "s2s.i32": translation,
    "tag.i32": lambda s: tagged(s, 32, 4096),
    "tag1.i32": lambda s: tagged(s, 1, 512),
    "trees.i32": trees,
}


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, make in FILES.items():
        numbers = array.array("i", make(Source(name)))
        if sys.byteorder == "big":
            numbers.byteswap()
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            numbers.tofile(f)


if __name__ == "__main__":
    main()
