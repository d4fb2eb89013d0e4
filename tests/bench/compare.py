"""Runs seqgrad-bench beside PyTorch, in turn, and prints medians and ratios as a table.

    compare.py --bench build/release/bin/seqgrad-bench --data DIR --peers DIR [--python PYTHON]
               [--w w1,w5] [--threads 1,2] [--rounds 3] [--seconds 3] [--compile] [--shim FILE.so]
               [--anew] [--out RESULTS.jsonl]

--peers is the folder of peer_torch.py, a program that runs the same workloads by PyTorch (called as
`peer_torch.py WORKLOAD --mode MODE --threads N --seconds S`, prints a line of JSON like ours);
--python has PyTorch. --shim is preloaded into further runs of it. --compile adds torch.compile.
--anew adds ours with all plans made anew in every step, where the batches differ in shape.
DyNet is not run: where it was the fastest of all, its rate is that of PyTorch's first mode here,
times how much faster it was than that elsewhere (one thread, Zen 5, its own AVX-512 kernels and
PyTorch's).
Each competitor is a process of its own; rounds alternate between them, as the speed of a machine
drifts.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

# of each workload: PyTorch's name for it, and its ways
TORCH = {
    "w1": ("w1", ["eager", "loop"]),
    "w2": ("w2", ["eager", "loop"]),
    "w3a": ("w3a", ["eager", "loop"]),
    "w3b": ("w3b", ["eager", "loop"]),
    "w4b": ("w4b", ["eager", "loop"]),
    "w4l": ("w4l", ["eager", "loop"]),
    "w5": ("w5", ["eager", "padded"]),
    "w5lazy": ("w5", ["sparse"]),
    "w5auto": ("w5", ["eager", "padded"]),
    "w5b1": ("w5b1", ["eager"]),
    "w5b1lazy": ("w5b1", ["sparse"]),
    "w6": ("w6", ["eager"]),
    "w7": ("w7", ["eager", "levels"]),
    "w8g1": ("w8g1", ["eager"]),
    "w8b1": ("w8b1", ["eager"]),
    "w8g32": ("w8g32", ["eager"]),
    "w8b32": ("w8b32", ["eager"]),
    "w9": ("w9", ["eager"]),
}
COMPILED = {w: ["compile", "cloop"] for w in ("w1", "w2", "w3a", "w3b")}
COMPILED |= {"w5": ["compile"], "w6": ["compile"], "w4b": ["cloop"], "w4l": ["cloop"]}
# of DyNet (with batching by itself in w5auto; of a table it updates the rows it has seen, so it is
# compared with w5b1lazy), and of PyTorch's first mode beside it
DYNET = {
    ("w3a", 1): (259610, 31938),
    ("w3a", 2): (259610, 24049),
    ("w3b", 1): (87510, 76685),
    ("w5auto", 1): (11097, 9669),
    ("w5b1lazy", 1): (3276, 2133),
    ("w5b1lazy", 2): (3276, 2192),
    ("w8g1", 1): (1514, 1033),
}
VARIABLE = ("w4b", "w4l", "w5", "w5lazy", "w5auto", "w5b1", "w5b1lazy", "w7")
OURS, ANEW = "seqgrad", "seqgrad:anew"


def competitors(a, w):
    modes = TORCH[w][1] + (COMPILED.get(w, []) if a.compile else [])
    shim = ["torchx:" + m for m in modes] if a.shim else []
    ours = [OURS] + ([ANEW] if a.anew and w in VARIABLE else [])
    return ours + ["torch:" + m for m in modes] + shim


def run(a, who, w, threads):
    """A line of JSON as a dictionary, or what went wrong as text."""
    env = dict(os.environ, PEERS_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    env["MKL_NUM_THREADS"] = str(threads)
    if who in (OURS, ANEW):
        command, folder = [os.path.abspath(a.bench), w, "train", str(a.seconds), a.data], None
        command += ["--no-cache"] if who == ANEW else []
    else:
        peer, mode = who.split(":")
        if peer == "torchx":
            env["LD_PRELOAD"] = os.path.abspath(a.shim)
        command = [a.python, "peer_torch.py", TORCH[w][0], "--mode", mode]
        command += ["--threads", str(threads), "--seconds", str(a.seconds)]
        folder = a.peers
    try:
        p = subprocess.run(
            command, env=env, cwd=folder, capture_output=True, text=True, timeout=a.limit
        )
    except subprocess.TimeoutExpired:
        return "over the time limit"
    lines = [x for x in p.stdout.splitlines() if x.startswith("{")]
    return json.loads(lines[-1]) if lines else (p.stderr.strip().splitlines() or ["no result"])[-1]


def measure(a, w, results):
    for n in range(a.rounds):
        for t in a.threads:
            for who in competitors(a, w):
                d = run(a, who, w, t)
                if isinstance(d, str):
                    print(f"{w} {who} t={t}: {d}", file=sys.stderr)
                    continue
                results.setdefault((w, t, who), []).append(d)
                if a.out:
                    with open(a.out, "a") as f:
                        f.write(json.dumps(dict(d, w=w, t=t, who=who, round=n)) + "\n")


def middle(runs, key):
    values = [d[key] for d in runs if key in d]
    return statistics.median(values) if values else float("nan")


def table(a, w, results):
    print(f"\n{w:9} t  {'rate':>12} {'unit':8} {'ours/it':>8} {'spread':>7} {'ms':>10}"
          f" {'MB':>7} {'first s':>8} {'GF/s':>7}")
    for t in a.threads:
        rows = {who: results[w, t, who] for who in competitors(a, w) if (w, t, who) in results}
        ours = middle(rows.get(OURS, []), "rate")
        for who in sorted(rows, key=lambda x: -middle(rows[x], "rate")):
            runs = rows[who]
            rate = middle(runs, "rate")
            rates = [d["rate"] for d in runs]
            print(f"{who:14.14} {t:1} {rate:12.1f} {runs[0]['unit']:8} {ours / rate:8.2f}"
                  f" {max(rates) / min(rates):7.2f} {middle(runs, 'ms'):10.3f}"
                  f" {middle(runs, 'rss_mb'):7.0f} {middle(runs, 'first_s'):8.2f}"
                  f" {middle(runs, 'gflops'):7.1f}", flush=True)


def of_dynet(a, w, t, results):
    """As a list of results, or an empty one."""
    beside = results.get((w, t, ("torchx:" if a.shim else "torch:") + TORCH[w][1][0]))
    if not beside or (w, t) not in DYNET:
        return []
    there, beside_there = DYNET[w, t]
    return [{"rate": middle(beside, "rate") * there / beside_there}]


def summary(a, results):
    print("\n| workload | threads | ours | best of PyTorch | which | ours / best | MB of both |"
          "\n|---|---|---|---|---|---|---|")
    for w in a.w:
        for t in a.threads:
            theirs = {x: results[w, t, x] for x in competitors(a, w) if (w, t, x) in results}
            x = theirs.pop(OURS, None)
            theirs.pop(ANEW, None)
            if of_dynet(a, w, t, results):
                theirs["DyNet, scaled"] = of_dynet(a, w, t, results)
            if not theirs or not x:
                continue
            best = max(theirs, key=lambda who: middle(theirs[who], "rate"))
            y = theirs[best]
            rates = middle(x, "rate"), middle(y, "rate")
            print(f"| {w} | {t} | {rates[0]:,.0f} {x[0]['unit']} | {rates[1]:,.0f} | {best} |"
                  f" {rates[0] / rates[1]:.2f} | {middle(x, 'rss_mb'):.0f} /"
                  f" {middle(y, 'rss_mb'):.0f} |")


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--bench", required=True)
    ap.add_argument("--data", required=True)
    ap.add_argument("--peers", required=True)
    ap.add_argument("--python", default=sys.executable)
    ap.add_argument("--w", default=",".join(TORCH))
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=3)
    ap.add_argument("--limit", type=float, default=300, help="of a run, in seconds")
    ap.add_argument("--compile", action="store_true")
    ap.add_argument("--anew", action="store_true")
    ap.add_argument("--shim")
    ap.add_argument("--out")
    a = ap.parse_args()
    a.w = a.w.split(",")
    a.threads = [int(t) for t in a.threads.split(",")]
    unknown = [w for w in a.w if w not in TORCH]
    if unknown:
        sys.exit(f"compare.py: no such workload: {', '.join(unknown)}")
    results = {}
    for w in a.w:
        measure(a, w, results)
        table(a, w, results)
    summary(a, results)


if __name__ == "__main__":
    main()
