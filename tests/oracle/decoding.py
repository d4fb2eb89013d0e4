#!/usr/bin/env python3
"""Writes what tests/test_recorded_decoding.c compares with: python3 decoding.py WHEELS > decoding.h

Needs torch, transformers, and the wheels of OpenNMT-py and OpenNMT-tf (of which one file each is
read, and no more is installed: pip download --no-deps OpenNMT-py, OpenNMT-tf); not run by the
tests. Beam search, with a beginning that is given, too, scores of given tokens, and what sampling
keeps, over a model whose next token depends on the last one only: a table of logits, and one of
what is attended to. The search is that of transformers, in single precision, the penalties are
OpenNMT-py's, the schedules of scheduled sampling OpenNMT-tf's.
"""

import ast
import math
import sys
import types
import zipfile

import torch
import transformers
from transformers import generation
from transformers.loss.loss_utils import ForCausalLMLoss

from recording import Draw, array, head

WORDS, SOURCE, MOST, BEST = 6, 3, 12, 4
STOP, START = 0, 5
GIVEN = [[1, 2, 2, 4], [4, 3, 1], [], [3]]
STEPS = [0, 1, 10, 50, 100, 1000]

draw = Draw()
logits = 3 * draw(WORDS, WORDS)
logits[:, STOP] += 2
logits[:, START] -= 32  # it never comes again
attention = (2 * draw(WORDS, SOURCE)).softmax(-1)


class Model(transformers.PreTrainedModel, transformers.GenerationMixin):
    config_class = transformers.PretrainedConfig

    def __init__(self):
        super().__init__(transformers.PretrainedConfig(vocab_size=WORDS))
        self.post_init()
        self.part = torch.nn.Parameter(torch.zeros(1))  # it must have one

    def forward(self, input_ids, **_):
        return transformers.modeling_outputs.CausalLMOutput(logits=logits[input_ids])

    def prepare_inputs_for_generation(self, input_ids, *_, **__):
        return {"input_ids": input_ids}


def search(width, best, most, prefix=(), **options):
    """Hypotheses that have ended: words and stop, with log p."""
    if prefix:
        may = lambda _, ids: prefix[len(ids) - 1 :][:1] or list(range(WORDS))
        options["prefix_allowed_tokens_fn"] = may
    found = Model().generate(
        torch.tensor([[START]]), num_beams=width, num_return_sequences=best, max_new_tokens=most,
        length_penalty=0.0, early_stopping="never", do_sample=False, eos_token_id=STOP,
        pad_token_id=STOP, use_cache=False, return_dict_in_generate=True, output_scores=True,
        **options,
    )  # fmt: skip
    pairs = []
    for i, row in enumerate(found.sequences[:, 1:].tolist()):
        score = found.sequences_scores[i].item() if width > 1 else None  # greedy has none
        if STOP in row and START not in row and (score is None or score > -1e6):
            words = row[: row.index(STOP)]
            path = [START] + words + [STOP]
            exact = sum(logits[a].log_softmax(-1)[b] for a, b in zip(path, path[1:])).item()
            assert score is None or abs(exact - score) < 1e-4, (exact, score)
            pairs.append((words, exact))
    return pairs


def penalties():
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        names = {}
        exec(wheel.read("onmt/translate/penalties.py"), names)
    return names["PenaltyBuilder"]("wu", "wu")


def row(name, width, best, pairs, alpha=0.0, beta=0.0, least=0, no_repeat=0, most=MOST, prefix=()):
    """The `best` of hypotheses, by penalties."""
    build, scored = penalties(), []
    for words, log_p in pairs:
        covered = attention[[START] + words].sum(0)
        adjusted = log_p / build.length_wu(len(words) + 1, alpha)
        scored.append((words, log_p, adjusted - build.coverage_wu(covered, beta).item()))
    scored = sorted(scored, key=lambda s: -s[2])[:best]
    assert len(scored) == best, name
    ids = [words + [-1] * (MOST - len(words)) for words, _, _ in scored]
    array(f"{name}_ids", [torch.tensor(ids)], "int")
    array(f"{name}_scores", [torch.tensor([s[1:] for s in scored]).T])
    numbers = f"{width}, {best}, {most}, {least}, {no_repeat}, {alpha}, {beta}"
    begun = f"{len(prefix)}, {{{', '.join(map(str, prefix)) or 0}}}"
    return f'    {{"{name}", {numbers}, {name}_ids, {name}_scores, {begun}}},'


def searches():
    rows = [
        row("greedy", 1, 1, search(1, 1, MOST)),
        row("beam_2", 2, 2, search(2, 2, MOST)),
        row("beam_4", 4, 4, search(4, 4, MOST)),
        row("least", 4, 4, search(4, 4, MOST, min_new_tokens=4), least=4),
        row("no_bigrams", 4, 4, search(4, 4, MOST, min_new_tokens=5, no_repeat_ngram_size=2),
            least=5, no_repeat=2),
    ]  # fmt: skip
    everything = search(400, 400, 4)  # 3 words and the stop token at most
    assert len(everything) == 1 + 4 + 16 + 64
    for name, alpha, beta in [("length", 1.0, 0.0), ("coverage", 0.0, 0.75), ("both", 0.6, 0.5)]:
        rows.append(row(name, 400, 4, everything, alpha, beta, most=4))
    for width, prefix in [(1, [3, 1]), (2, [2]), (4, [1, 4])]:
        best = search(width, width, MOST, prefix)
        rows.append(row(f"begun_{width}", width, width, best, prefix=prefix))
    prefix = [4, 1]
    begun = search(400, 400, 4, prefix)
    assert sorted(begun) == sorted((w, p) for w, p in everything if w[:2] == prefix)
    rows.append(row("begun_all", 400, 4, begun, 0.6, 0.5, most=4, prefix=prefix))
    print("static const struct {")
    print("    const char *name;")
    print("    int width, best, most, least, no_repeat;")
    print("    double length_penalty, coverage_penalty;")
    print("    /* [best, MOST], -1 behind the words; log p of them all, then as adjusted */")
    print("    const int *ids;")
    print("    const double *scores;")
    print("    int begun, prefix[2]; /* the first words, as they are given */")
    print("} searches[] = {")
    print("\n".join(rows))
    print("};\n")


def given():
    """-log p as losses of a language model: by torch, and in single precision by transformers."""
    most = max(map(len, GIVEN))
    padded = torch.tensor([ids + [STOP] * (most - len(ids)) for ids in GIVEN])
    print(f"enum {{ GIVEN = {len(GIVEN)}, GIVEN_TIME = {most} }};")
    array("given_ids", [padded], "int")
    array("given_lengths", [torch.tensor(list(map(len, GIVEN)))], "int")
    for name, end in [("given_scores", []), ("given_scores_to_stop", [STOP])]:
        scores = []
        for ids in GIVEN:
            labels = torch.tensor(ids + end, dtype=torch.long)
            said = logits[[START] + ids][: len(labels)]
            loss = torch.nn.functional.cross_entropy(said, labels, reduction="sum")
            if len(labels):
                theirs = ForCausalLMLoss(said, None, WORDS, 1, shift_labels=labels)
                assert abs(theirs - loss) < 1e-5, (theirs, loss)
            scores.append(-loss)
        array(name, scores)
    print()


def samples():
    """What is left of the probabilities of the first token."""
    table = [(0.75, 0, 0.0), (2.0, 3, 0.0), (2.0, 0, 0.75), (3.0, 4, 0.9), (0.5, 4, 0.9)]
    rows = []
    for i, (temperature, top_k, top_p) in enumerate(table):
        warpers = [generation.TemperatureLogitsWarper(temperature)] if temperature != 1 else []
        warpers += [generation.TopKLogitsWarper(top_k)] if top_k else []
        warpers += [generation.TopPLogitsWarper(top_p)] if top_p else []
        scores = logits[START][None].clone()
        for warp in warpers:
            scores = warp(torch.tensor([[START]]), scores)
        array(f"kept_{i}", [scores[0].softmax(-1)])
        rows.append(f"    {{{temperature}, {top_k}, {top_p}, kept_{i}}},")
    print("static const struct {")
    print("    double temperature;")
    print("    int top_k;")
    print("    double top_p;")
    print("    const double *p; /* [WORDS] */")
    print("} samplings[] = {")
    print("\n".join(rows))
    print("};")


def truth_rates():
    """Of OpenNMT-tf, in double: Python's functions stand for TensorFlow's. It says how probable the
    model's own token is; its linear schedule ends at 0, that of Bengio et al. 2015, 2.4, at a
    floor."""
    with zipfile.ZipFile(sys.argv[2]) as wheel:
        source = ast.parse(wheel.read("opennmt/decoders/decoder.py"))
    name, number = "get_sampling_probability", lambda x, _: float(x)
    functions = [f for f in source.body if getattr(f, "name", None) == name]
    tf = types.SimpleNamespace(float32=None, cast=number, constant=number, maximum=max, pow=pow,
                               exp=math.exp)  # fmt: skip
    names = {"tf": tf}
    exec(compile(ast.Module(functions, []), name, "exec"), names)
    kinds = [("linear", 1.0, 0.01, 0.25), ("linear", 0.875, 0.001, 0.0),
             ("exponential", 0.99, 0.0, 0.0), ("exponential", 0.5, 0.0, 0.0),
             ("inverse_sigmoid", 10.0, 0.0, 0.0), ("inverse_sigmoid", 100.0, 0.0, 0.0)]  # fmt: skip
    rows = []
    for kind, k, slope, floor in kinds:
        linear = kind == "linear"
        rate = lambda i: 1 - names[name](i, k if linear else None, kind, slope if linear else k)
        rates = ", ".join("%.13g" % max(floor, rate(i)) for i in STEPS)
        rows.append(f"    {{{{SG_TRUTH_{kind.upper()}, {k}, {slope}, {floor}}}, {{{rates}}}}},")
    print(f"\nstatic const int64_t truth_steps[] = {{{', '.join(map(str, STEPS))}}};")
    print("static const struct {")
    print("    sg_truth schedule;")
    print(f"    double rates[{len(STEPS)}];")
    print("} truths[] = {")
    print("\n".join(rows))
    print("};")


def main():
    head("decoding.py", [torch, transformers], WORDS=WORDS, SOURCE=SOURCE, MOST=MOST, STOP=STOP,
         START=START)  # fmt: skip
    searches()
    given()
    samples()
    truth_rates()


if __name__ == "__main__":
    main()
