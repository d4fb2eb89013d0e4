"""Where the time of every workload's step goes, as a table.

    profiles.py --bench build/release/bin/seqgrad-bench --data DIR [--w w1,w5] [--threads 1,2]
                [--seconds 3]

A step is recording the graph, finding its plan and running it; of the run's time (of all threads):
matrix products and how much of the machine's peak they reach, packing weights for them, row
programs, gathering rows for batches, and whatever else takes 2 % or more. The second part is from a
run of its own, with --profile: naming each step's scope needs the whole graph, gradients too, which
is not recorded otherwise.
"""
import argparse
import json
import os
import subprocess
import tempfile

WORKLOADS = "w1 w2 w3a w3b w4b w4l w5 w5lazy w5auto w5b1 w6 w7 w8g1 w8b1 w8g32 w8b32 w9".split()
PRODUCTS = ("matmul", "matmul_packed")
KNOWN = {"pack": "packing", "program": "row programs", "gather": "gathers"}


def train(a, w, threads, *more):
    command = [os.path.abspath(a.bench), w, "train", str(a.seconds), a.data]
    command += ["--threads", str(threads), *more]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def profile(a, w, threads):
    """Of each kind of step: its share of the time, and of the peak, in %."""
    with tempfile.NamedTemporaryFile() as trace:
        text = train(a, w, threads, "--profile", trace.name).stderr
    kinds, peak = {}, {}
    for line in text.split("scope")[0].splitlines():
        cells = line.split()
        if "waiting" in cells:
            kinds["waiting"] = float(cells[1])
        elif cells and cells[0].isdigit():
            kinds[cells[-1]] = float(cells[2])
            if cells[-1] in PRODUCTS:
                peak[cells[-1]] = float(cells[-2])
    return kinds, peak


def row(a, w, threads):
    line = json.loads(train(a, w, threads).stdout)
    kinds, peak = profile(a, w, threads)
    ns = {k: line[k + "_ns"] for k in ("record", "find", "run")}
    step = sum(ns.values())
    products = sum(kinds.get(k, 0) for k in PRODUCTS)
    reached = sum(kinds.get(k, 0) * peak[k] for k in peak) / products if products else 0
    named = {k for k in (*PRODUCTS, *KNOWN)}
    rest = sorted(((v, k) for k, v in kinds.items() if k not in named and v >= 2), reverse=True)
    cells = [w, str(threads), f"{line['ms']:.1f}"]
    cells += [f"{100 * ns[k] / step:.0f}" for k in ("record", "find", "run")]
    cells += [f"{products:.0f} at {reached:.0f}" if products else "0"]
    cells += [f"{kinds.get(k, 0):.0f}" for k in KNOWN]
    cells += [", ".join(f"{k} {v:.0f}" for v, k in rest)]
    return "| " + " | ".join(cells) + " |"


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--bench", required=True)
    ap.add_argument("--data", required=True)
    ap.add_argument("--w", default=",".join(WORKLOADS))
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--seconds", type=float, default=3)
    a = ap.parse_args()
    print(
        "| workload | threads | ms | record % | find % | run % | products %, at % of peak |"
        f" {' | '.join(KNOWN.values())} | other |"
    )
    print("|" + "---|" * (8 + len(KNOWN)))
    for w in a.w.split(","):
        for t in a.threads.split(","):
            print(row(a, w, int(t)), flush=True)


if __name__ == "__main__":
    main()
