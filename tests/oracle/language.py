#!/usr/bin/env python3
"""Writes what tests/test_recorded_language.c compares with: python3 language.py > language.h

Needs torch, transformers, positional-encodings, rotary-embedding-torch; not run by the tests.
Language models by Transformers: GPT-NeoX (positions turn queries and keys) and GPT-2 (learned
positions, the output layer is the table); LLaMA's attention, of more heads that turn; the sinusoids
of the first Transformer.
"""

import contextlib
from unittest import mock

import positional_encodings.torch_encodings as encodings
import rotary_embedding_torch
import torch
import transformers
from torch.func import functional_call
from transformers.models.llama import modeling_llama as llama

from recording import array, head, named, record

BATCH, TIME, WORDS, SIZE, WIDE, BLOCKS = 2, 4, 5, 4, 3, 2
TURNED, HEADS, START = 8, 2, 5
TURNS = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0}
IDS = [[1, 4, 0, 2], [3, 3, 1, 4]]


def shapes(**more):
    """As seqgrad has them and names them."""
    affine = {"self.qkv": (SIZE, 3 * SIZE), "self.out": (SIZE, SIZE)}
    affine |= {"widen": (SIZE, WIDE), "narrow": (WIDE, SIZE)}
    all_ = {}
    for block in range(BLOCKS):
        for name, shape in affine.items():
            all_[f"m.block{block}.{name}.w"] = shape
            all_[f"m.block{block}.{name}.b"] = shape[1:]
    for norm in [f"block{i}.norm{k}" for i in range(BLOCKS) for k in (0, 2)] + ["last"]:
        all_ |= {f"m.{norm}.gain": (SIZE,), f"m.{norm}.bias": (SIZE,)}
    return all_ | {"words": (WORDS, SIZE)} | more


def translated(p, theirs, turn):
    """Layers by the names of a model, with weights turned around where it has rows of outputs."""
    weights, kinds = {}, {"w": "weight", "gain": "weight", "b": "bias", "bias": "bias"}
    for name, w in p.items():
        layer, _, kind = name.rpartition(".")
        for ours in theirs:
            layer = layer.replace(ours, theirs[ours])
        weights[f"{layer}.{kinds[kind]}"] = w.T if turn and w.ndim == 2 else w
    return weights


def logits_of(model, weights):
    left = {k: v for k, v in model.named_parameters() if k not in weights}
    assert not left, left.keys()
    options = {"input_ids": torch.tensor(IDS), "use_cache": False}
    logits = functional_call(model, weights, (), options).logits
    assert logits.dtype == torch.float64
    return logits


# ---- positions that turn ------------------------------------------------------------------------


@contextlib.contextmanager
def in_double():
    """Angles, too, which the package has in single precision whatever the type of a model."""
    with mock.patch.object(torch, "float", torch.double):
        with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
            yield


def turned():
    """Both halves of a head's features: LLaMA's and GPT-NeoX's way, rotate_half. That of the paper
    (Su et al. 2021, eq. 34) has neighbours for pairs: rotary-embedding-torch's, which is the same
    but for the order of the features."""
    config = transformers.LlamaConfig(
        hidden_size=TURNED, num_attention_heads=HEADS, num_key_value_heads=HEADS,
        attention_bias=True, rope_parameters=TURNS, attn_implementation="sdpa",
    )  # fmt: skip
    with in_double():
        rotary = llama.LlamaRotaryEmbedding(config)
    half = TURNED // HEADS // 2

    def angles(x, start):
        with in_double():
            cos, sin = rotary(x, start + torch.arange(TIME)[None])
        assert cos.dtype == torch.float64
        return cos, sin

    def turn(x):
        y, _ = llama.apply_rotary_pos_emb(x, x, *angles(x, START))
        neighbours = torch.arange(2 * half).reshape(2, half).T.flatten()
        package = rotary_embedding_torch.RotaryEmbedding(2 * half)
        theirs = package.rotate_queries_or_keys(x[..., neighbours], offset=START)
        torch.testing.assert_close(theirs.to(y), y[..., neighbours], atol=1e-5, rtol=0)
        return [y]

    record("turned", turn, [(BATCH, HEADS, TIME, 2 * half)])
    module = llama.LlamaAttention(config, 0).double()
    shapes = {"qkv.w": (TURNED, 3 * TURNED), "qkv.b": (3 * TURNED,)}
    shapes |= {"out.w": (TURNED, TURNED), "out.b": (TURNED,)}

    def heads(x, p):
        weights = {"o_proj.weight": p["m.out.w"].T, "o_proj.bias": p["m.out.b"]}
        for i, name in enumerate("qkv"):
            weights[f"{name}_proj.weight"] = p["m.qkv.w"].chunk(3, -1)[i].T
            weights[f"{name}_proj.bias"] = p["m.qkv.b"].chunk(3)[i]
        options = {"position_embeddings": angles(x, 0), "attention_mask": None}
        return [functional_call(module, weights, (x,), options)[0]]

    shapes = {"m." + name: shape for name, shape in shapes.items()}
    record("turned_heads", named(shapes, heads), [(1, TIME, TURNED)], shapes)


# ---- GPT-NeoX -----------------------------------------------------------------------------------


def neox():
    config = transformers.GPTNeoXConfig(
        vocab_size=WORDS, hidden_size=SIZE, num_hidden_layers=BLOCKS, num_attention_heads=1,
        intermediate_size=WIDE, hidden_act="gelu", layer_norm_eps=1e-5,
        use_parallel_residual=False, tie_word_embeddings=False, rope_parameters=TURNS,
    )  # fmt: skip
    with in_double():
        model = transformers.GPTNeoXForCausalLM(config).double().eval()
    names = {
        "m.block": "gpt_neox.layers.", "m.last": "gpt_neox.final_layer_norm",
        "self.qkv": "attention.query_key_value", "self.out": "attention.dense",
        "widen": "mlp.dense_h_to_4h", "narrow": "mlp.dense_4h_to_h",
        "norm0": "input_layernorm", "norm2": "post_attention_layernorm",
    }  # fmt: skip

    def f(p):
        table = p.pop("words")
        weights = {"gpt_neox.embed_in.weight": table, "lm_head.weight": p.pop("out.w").T}
        with in_double():
            return [logits_of(model, weights | translated(p, names, True))]

    parameters = shapes(**{"out.w": (SIZE, WORDS)})
    record("gpt_neox", named(parameters, f), [], parameters)


# ---- GPT-2 --------------------------------------------------------------------------------------


def gpt2():
    config = transformers.GPT2Config(
        vocab_size=WORDS, n_positions=TIME, n_embd=SIZE, n_layer=BLOCKS, n_head=2, n_inner=WIDE,
        activation_function="gelu", layer_norm_epsilon=1e-5,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).double().eval()
    names = {
        "m.block": "transformer.h.", "m.last": "transformer.ln_f", "self.qkv": "attn.c_attn",
        "self.out": "attn.c_proj", "widen": "mlp.c_fc", "narrow": "mlp.c_proj",
        "norm0": "ln_1", "norm2": "ln_2",
    }  # fmt: skip

    def f(p):
        table, bias = p.pop("words"), p.pop("out.b")  # a bias that GPT-2 does not have
        weights = {"transformer.wte.weight": table, "lm_head.weight": table}
        weights["transformer.wpe.weight"] = p.pop("m.position")
        return [logits_of(model, weights | translated(p, names, False)) + bias]

    parameters = shapes(**{"out.b": (WORDS,), "m.position": (TIME, SIZE)})
    record("gpt2", named(parameters, f), [], parameters)


def sinusoids():
    """Vaswani et al. 2017, 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d)), cos at 2i + 1."""
    angle = torch.arange(TIME)[:, None] / 10000 ** (torch.arange(0, SIZE, 2) / SIZE)
    waves = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
    theirs = encodings.PositionalEncoding1D(SIZE)(torch.zeros(1, TIME, SIZE))[0]
    torch.testing.assert_close(theirs, waves, atol=1e-6, rtol=0)  # theirs is in single precision
    array("sinusoids", [waves])


def main():
    head("language.py", [torch, transformers], BATCH=BATCH, TIME=TIME, WORDS=WORDS, SIZE=SIZE,
         WIDE=WIDE, BLOCKS=BLOCKS, TURNED=TURNED, HEADS=HEADS, START=START)  # fmt: skip
    array("language_ids", [torch.tensor(IDS)], "int")
    neox()
    gpt2()
    turned()
    sinusoids()


if __name__ == "__main__":
    main()
