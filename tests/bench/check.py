"""Compares the losses of seqgrad-bench's first steps with PyTorch's, by value: the same weights,
data and optimizers, no dropout.

    check.py --bench build/release/bin/seqgrad-bench --data DIR [--w w1,w5] [--steps 10]
             [--worst 1e-4]

Needs PyTorch, numpy and safetensors. Prints the worst relative difference of each workload, and
fails where it is above --worst.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import check_models as models
import torch
from safetensors.torch import save_file


class LazyAdam:
    """Adam for which the embeddings of words that a batch does not have do not exist."""

    def __init__(self, p, loss):
        self.p, self.loss, self.t = p, loss, 0
        self.m, self.v = ({name: torch.zeros_like(x) for name, x in p.items()} for _ in range(2))

    def step(self):
        self.t += 1
        for name, x in self.p.items():
            rows = self.loss.words if name == "words" else slice(None)
            m, v, d = self.m[name], self.v[name], x.grad[rows]
            m[rows] = 0.9 * m[rows] + 0.1 * d
            v[rows] = 0.999 * v[rows] + 0.001 * d * d
            root = (v[rows] / (1 - 0.999**self.t)).sqrt() + 1e-8
            x.data[rows] -= 1e-3 * (m[rows] / (1 - 0.9**self.t)) / root


def sgd(rate):
    return lambda p, loss: torch.optim.SGD(p.values(), lr=rate)


def adam(rate):
    return lambda p, loss: torch.optim.Adam(p.values(), lr=rate)


def adagrad(p, loss):
    # the workload's 0.1 lets rounding errors grow tenfold a step
    return torch.optim.Adagrad(p.values(), lr=0.001)


def norm5(p):
    torch.nn.utils.clip_grad_norm_(list(p.values()), 5.0)


def value5(p):
    torch.nn.utils.clip_grad_value_(list(p.values()), 5.0)


WORKLOADS = {
    "w1": (lambda p, d: models.words(p, d, 20), sgd(1.0), norm5),
    "w2": (lambda p, d: models.words(p, d, 35), sgd(1.0), norm5),
    "w3a": (models.w3a, adagrad, value5),
    "w3b": (models.w3b, adam(2e-3), value5),
    "w4b": (models.w4, adam(1e-3), norm5),
    "w4l": (models.w4, adam(1e-3), norm5),
    "w5": (lambda p, d: models.w5(p, d, 32), adam(1e-3), norm5),
    "w5lazy": (lambda p, d: models.w5(p, d, 32), LazyAdam, norm5),
    "w5auto": (lambda p, d: models.w5(p, d, 32), adam(1e-3), norm5),
    "w5b1": (lambda p, d: models.w5(p, d, 1), adam(1e-3), norm5),
    "w5b1lazy": (lambda p, d: models.w5(p, d, 1), LazyAdam, norm5),
    "w6": (models.w6, adam(1e-3), norm5),
    "w7": (models.w7, sgd(0.05), lambda p: None),
    "w8g1": (lambda p, d: models.w8(p, d, True, False), None, None),
    "w8b1": (lambda p, d: models.w8(p, d, True, True), None, None),
    "w8g32": (lambda p, d: models.w8(p, d, False, False), None, None),
    "w8b32": (lambda p, d: models.w8(p, d, False, True), None, None),
    "w9": (models.w9, None, None),
}


def torch_losses(w, p, folder, steps):
    make, make_optimizer, clip = WORKLOADS[w]
    loss = make(p, folder)
    optimizer = make_optimizer(p, loss) if make_optimizer else None
    out = []
    for i in range(steps):
        value = loss(i)
        out.append(value.item())
        if optimizer:
            for x in p.values():
                x.grad = None
            value.backward()
            clip(p)
            optimizer.step()
    return out


def initial(w, lines):
    """Weights for names and shapes, as `seqgrad-bench WORKLOAD params` lists them. For decoding
    they are large, that it may not always say the same word, and such that it never stops."""
    p = {}
    for line in lines:
        name, *shape = line.split()
        scale = 0.1 if w.startswith("w8") else min(0.1, int(shape[0]) ** -0.5)
        x = scale * torch.randn([int(n) for n in shape])
        p[name] = (x + 1 if name.endswith("gain") else x).requires_grad_()
    if w.startswith("w8"):
        p["translate.out.b"].data[models.STOP] = -1e30
    return p


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def our_losses(bench, w, p, folder, steps):
    with tempfile.TemporaryDirectory() as temporary:
        path = os.path.join(temporary, "weights.safetensors")
        save_file({name: x.detach().contiguous() for name, x in p.items()}, path)
        command = [bench, w, "check", path, folder, str(steps)]
        return [float(x) for x in run(command).split()]


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--bench", required=True)
    ap.add_argument("--data", required=True)
    ap.add_argument("--w", default=",".join(WORKLOADS))
    ap.add_argument("--steps", type=int, default=10)
    ap.add_argument("--worst", type=float, default=1e-4)
    a = ap.parse_args()
    failed = False
    for w in a.w.split(","):
        torch.manual_seed(1)
        p = initial(w, run([a.bench, w, "params", a.data]).splitlines())
        ours = our_losses(a.bench, w, p, a.data, a.steps)
        theirs = torch_losses(w, p, a.data, a.steps)
        apart = [abs(x - y) / max(abs(y), 1e-30) for x, y in zip(ours, theirs, strict=True)]
        good = all(d <= a.worst for d in apart)  # NaN is not
        failed = failed or not good
        verdict = "" if good else "TOO FAR  "
        print(f"{w:9} {max(apart):9.1e}  {verdict}{theirs[0]:.6f} … {theirs[-1]:.6f}", flush=True)
        if not good:
            print("  ours   ", *(f"{x:.6f}" for x in ours))
            print("  PyTorch", *(f"{x:.6f}" for x in theirs))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
