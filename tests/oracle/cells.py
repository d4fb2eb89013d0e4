#!/usr/bin/env python3
"""Writes what tests/test_recorded_cells.c compares with: python3 cells.py > cells.h

Needs torch, keras, jax, dm-haiku, onnx, onnxruntime; not run by the tests. Each cell over a
sequence from given states: y, the final h and c, and gradients. Where a package has the cell, the
package computes it. Where none has it, it is written here from its paper. And what a cell is fed
and leaves behind: one input for many steps, states for the next stretch; a layer without time.
"""

import haiku
import numpy
import onnx
import onnxruntime
import torch
from torch import nn
from torch.func import functional_call

from recording import by_jax, head, keras_in_double, named, record

BATCH, TIME, IN, HIDDEN, ZONEOUT, ZONEOUT_C = 2, 3, 2, 2, 0.25, 0.125
X, STATE = (BATCH, TIME, IN), (BATCH, HIDDEN)
keras = keras_in_double()


def cell(gates, **more):
    shapes = {"wx": (IN, gates * HIDDEN), "b": (gates * HIDDEN,), "wh": (HIDDEN, gates * HIDDEN)}
    return {"cell." + name: shape for name, shape in {**shapes, **more}.items()}


def recording(name, f, parameters, states=1, x=X, **options):
    """f(x, states, parameters by name without `cell.`) gives y and the final states."""

    def run(*given):
        *inputs, p = given
        p = {key.removeprefix("cell."): value for key, value in p.items()}
        y, *final = f(inputs[0], inputs[1:], p)
        return [y, *final]

    record(name, named(parameters, run), [x] + [STATE] * states, parameters, **options)


def parts(w, n):
    return w.split(w.shape[-1] // n, -1)


def over_time(step, x, states):
    """step(x_t, *states) gives the states after it, of which h is the first."""
    y = []
    for t in range(x.shape[1]):
        states = step(x[:, t], *states)
        y.append(states[0])
    return torch.stack(y, 1), *states


# ---- RNN ----------------------------------------------------------------------------------------


def by_keras(layer, x, states, weights):
    layer.build(x.shape)
    others = [v.value for v in layer.non_trainable_variables]
    options = {"initial_state": states} if states else {}
    return layer.stateless_call(weights, others, x, **options)[0]


def rnn(activation):
    def f(x, states, p):
        layer = keras.layers.SimpleRNN(HIDDEN, activation, return_sequences=True, return_state=True)
        return by_keras(layer, x, states, [p["wx"], p["wh"], p["b"]])

    return f


# ---- GRU: R Z N ---------------------------------------------------------------------------------


def gru_before(x, states, p):
    """Keras has Z R N."""
    (rx, zx, nx), (rb, zb, nb), (rh, zh) = parts(p["wx"], 3), parts(p["b"], 3), parts(p["wh"], 2)
    layer = keras.layers.GRU(HIDDEN, reset_after=False, return_sequences=True, return_state=True)
    weights = [[zx, rx, nx], [zh, rh, p["whn"]], [zb, rb, nb]]
    return by_keras(layer, x, states, [torch.cat(w, -1) for w in weights])


def gru_before_write(x, states, p):
    """Haiku has Z R N, and h' = (1 - z) h + z n."""
    import jax.numpy as jnp

    (rx, zx, nx), (rb, zb, nb) = jnp.split(p["wx"], 3, -1), jnp.split(p["b"], 3, -1)
    rh, zh = jnp.split(p["wh"], 2, -1)
    weights = [[zx, rx, nx], [zh, rh, p["whn"]], [zb, rb, nb]]
    names = ["w_i", "w_h", "b"]
    weights = {"gru": {k: jnp.concatenate(w, -1) for k, w in zip(names, weights)}}
    unroll = lambda x, h: haiku.dynamic_unroll(haiku.GRU(HIDDEN), x, h, time_major=False)
    return haiku.without_apply_rng(haiku.transform(unroll)).apply(weights, x, states[0])


def gru_after(p, sign):
    """What torch calls its parameters. With the sign of Z turned around, what keeps writes: 1 -
    sigmoid(z) = sigmoid(-z)."""
    turn = torch.tensor([1.0] * HIDDEN + [sign] * HIDDEN + [1.0] * HIDDEN)
    return {
        "weight_ih_l0": (p["wx"] * turn).T,
        "weight_hh_l0": (p["wh"] * turn).T,
        "bias_ih_l0": p["b"] * turn,
        "bias_hh_l0": p["bh"] * turn,
    }


def by_torch_gru(x, states, p, sign):
    module = nn.GRU(IN, HIDDEN, batch_first=True)
    y, h = functional_call(module, gru_after(p, sign), (x, states[0][None]))
    return y, h[0]


def mgu(x, states, p):
    """Zhou et al. 2016: f = s(Wf [h, x] + bf), n = tanh(Wh [f h, x] + bh), h' = (1 - f) h + f n:
    Keras' GRU with r = f and z = 1 - f."""
    (fx, nx), (fb, nb) = parts(p["wx"], 2), parts(p["b"], 2)
    layer = keras.layers.GRU(HIDDEN, reset_after=False, return_sequences=True, return_state=True)
    weights = [[-fx, fx, nx], [-p["wh"], p["wh"], p["whn"]], [-fb, fb, nb]]
    return by_keras(layer, x, states, [torch.cat(w, -1) for w in weights])


# ---- LSTM: I F G O, or F G O --------------------------------------------------------------------


def normalized(z, p, norm):
    return nn.functional.layer_norm(z, z.shape[-1:], p[norm + ".gain"], p.get(norm + ".bias"))


def gates(w, names):
    return dict(zip(names, w.split(w.shape[-1] // len(names), -1)))


def lstm(x, states, p, coupled=False):
    """Gers et al. 2000: i and f see the memory as it was, o sees it as it is. Greff et al. 2016: i
    = 1 - f. Ba et al. 2016, eq. 20 to 22: LN(Wh h) + LN(Wx x) + b, h = s(o) tanh(LN(c))."""
    names = "FGO" if coupled else "IFGO"
    peep = gates(p["peep"], names.replace("G", "")) if "peep" in p else {}

    def step(x, h, c):
        xw, hw = x @ p["wx"], h @ p["wh"]
        if "norm_x.gain" in p:
            xw, hw = normalized(xw, p, "norm_x"), normalized(hw, p, "norm_h")
        z = gates(xw + hw + p["b"], names)
        gate = lambda name, c: torch.sigmoid(z[name] + peep.get(name, 0) * c)
        f = gate("F", c)
        i = 1 - f if coupled else gate("I", c)
        c = f * c + i * torch.tanh(z["G"])
        seen = normalized(c, p, "norm_c") if "norm_c.gain" in p else c
        return gate("O", c) * torch.tanh(seen), c

    result = over_time(step, x, states)
    if "norm_x.gain" not in p:
        check_by_onnx(x, states, p, names, result)
    return result


def check_by_onnx(x, states, p, ours, result):
    """That ONNX Runtime computes the same in single precision, which is all that it has. Its gates
    are I O F G, its peepholes I O F; coupled, it has I instead of F, which is 1 - s(z) = s(-z)."""

    def arranged(w, ours, theirs):
        part = gates(w, ours)
        if "I" not in part:
            part |= {"I": -part["F"], "F": 0 * part["F"]}
        return torch.cat([part[name] for name in theirs], -1)

    b = arranged(p["b"], ours, "IOFG")
    given = {"X": x.transpose(0, 1), "W": arranged(p["wx"], ours, "IOFG").T[None]}
    given |= {"R": arranged(p["wh"], ours, "IOFG").T[None], "B": torch.cat([b, 0 * b], -1)[None]}
    given |= {"H": states[0][None], "C": states[1][None]}
    if "peep" in p:
        given["P"] = arranged(p["peep"], ours.replace("G", ""), "IOF")[None]
    node = onnx.helper.make_node(
        "LSTM",
        ["X", "W", "R", "B", "", "H", "C"] + (["P"] if "peep" in p else []),
        ["Y", "YH", "YC"],
        hidden_size=HIDDEN,
        input_forget=int("I" not in ours),
    )
    kind = onnx.TensorProto.FLOAT
    typed = lambda names: [onnx.helper.make_tensor_value_info(n, kind, None) for n in names]
    graph = onnx.helper.make_graph([node], "lstm", typed(given), typed(["Y", "YH", "YC"]))
    opset = [onnx.helper.make_opsetid("", 14)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    given = {k: v.detach().numpy().astype(numpy.float32) for k, v in given.items()}
    y, h, c = session.run(None, given)
    for theirs, here in zip([y[:, 0].swapaxes(0, 1), h[0], c[0]], result):
        numpy.testing.assert_allclose(theirs, here.detach().numpy(), rtol=1e-6, atol=1e-6)


# ---- around a cell ------------------------------------------------------------------------------


def lstm_cell(x, h, c, p):
    return torch.lstm_cell(x, (h, c), p["wx"].T, p["wh"].T, p["b"], torch.zeros_like(p["b"]))


def zoneout(x, states, p):
    """Krueger et al. 2017, in expectation: h = z h_before + (1 - z) h, and so c."""

    def step(x, h, c):
        new, memory = lstm_cell(x, h, c, p)
        return ZONEOUT * h + (1 - ZONEOUT) * new, ZONEOUT_C * c + (1 - ZONEOUT_C) * memory

    return over_time(step, x, states)


def variational(x, states, p):
    """Gal & Ghahramani 2016, eq. 7: the same masks, of x and of h, at all steps."""
    mask_x, mask_h, *states = states
    return over_time(lambda x, h, c: lstm_cell(x * mask_x, h * mask_h, c, p), x, states)


def residual(x, states, p):
    """He et al. 2016: y = F(x) + x"""
    y, h = by_torch_gru(x, states, p, 1)
    return y + x, h


def highway(x, states, p):
    """Srivastava et al. 2015, eq. 3: y = H(x) T(x) + x (1 - T(x)), T = s(Wt x + bt)"""
    y, h = by_torch_gru(x, states, p, 1)
    t = torch.sigmoid(x @ p["gate.w"] + p["gate.b"])
    return y * t + x * (1 - t), h


# ---- one to many, stretches of a text -----------------------------------------------------------


def by_torch_layer(kind, p):
    """With the first of torch's two biases only; a GRU has both."""
    zero = torch.zeros_like(p["b"])
    weights = {"weight_ih_l0": p["wx"].T, "weight_hh_l0": p["wh"].T}
    weights |= {"bias_ih_l0": p["b"], "bias_hh_l0": p.get("bh", zero)}
    module = kind(IN, HIDDEN, batch_first=True)

    def run(*given):
        y, final = functional_call(module, weights, given)
        return y, final if kind is nn.LSTM else (final,)

    return run


def from_one(kind, first_only):
    """x at the first step only, with zeros behind it, or at every step."""

    def f(x, states, p):
        later = torch.zeros_like(x) if first_only else x
        y, final = by_torch_layer(kind, p)(torch.stack([x] + [later] * (TIME - 1), 1))
        return [y, *(s[0] for s in final)]

    return f


def carried(stretch):
    """Truncated backpropagation through time: of x's stretches of TIME steps, the loss of one, and
    its gradients, which end where it begins."""

    def f(x, states, p):
        state, run = None, by_torch_layer(nn.LSTM, p)
        for part in x.split(TIME, 1)[: stretch + 1]:
            before = state and tuple(s.detach() for s in state)
            y, state = run(part, before)
        return [y.square().mean(), y, *(s[0] for s in state)]

    return f


# ---- layers -------------------------------------------------------------------------------------


def single(f):
    """y = f(x W + b)"""
    return lambda x, p: [f(nn.functional.linear(x, p["layer.w"].T, p["layer.b"]))]


def stacked(kind, gates):
    """Two layers, of both directions: final states are [4,B,H]."""
    shapes = {}
    for l in range(2):
        size = (2 * HIDDEN if l else IN, gates * HIDDEN)
        for d in "fb":
            shapes[f"{l}{d}.wx"] = size
            shapes[f"{l}{d}.wh"] = (HIDDEN, gates * HIDDEN)
            shapes[f"{l}{d}.b"] = size[1:]
            if kind is nn.GRU:
                shapes[f"{l}{d}.bh"] = size[1:]
    module = kind(IN, HIDDEN, num_layers=2, bidirectional=True, batch_first=True)

    def f(x, p):
        weights = {}
        for name, w in p.items():
            at, what = name.split(".")
            of = {"wx": "weight_ih", "wh": "weight_hh", "b": "bias_ih", "bh": "bias_hh"}[what]
            weights[f"{of}_l{at[0]}" + ("_reverse" if at[1] == "b" else "")] = w.t()
        zero = {k: torch.zeros_like(v) for k, v in module.named_parameters() if k not in weights}
        return functional_call(module, weights | zero, (x,))

    record(f"stacked_{kind.__name__.lower()}", named(shapes, f), [X], shapes)


def merged(name, merge, more={}):
    """Both directions of an RNN, merged by Keras; or A V + A' V' + b, through tanh."""
    shapes = more | {f"0{d}.{key}": shape for d in "fb" for key, shape in
                     {"wx": (IN, HIDDEN), "wh": (HIDDEN, HIDDEN), "b": (HIDDEN,)}.items()}  # fmt: skip

    def f(x, p):
        layer = keras.layers.Bidirectional(
            keras.layers.SimpleRNN(HIDDEN, return_sequences=True), merge_mode=merge
        )
        weights = [p[f"0{d}.{key}"] for d in "fb" for key in ["wx", "wh", "b"]]
        y = by_keras(layer, x, None, weights)
        if more:
            y = torch.tanh(y @ torch.cat([p["v.wh"], p["v.wz"]]) + p["v.b"])
        return [y]

    record(f"merged_{name}", named(shapes, f), [X], shapes)


def main():
    head("cells.py", [torch, keras, haiku, onnxruntime], BATCH=BATCH, TIME=TIME, IN=IN,
         HIDDEN=HIDDEN)  # fmt: skip
    recording("rnn_sigmoid", rnn("sigmoid"), cell(1))
    recording("rnn_identity", rnn("linear"), cell(1))
    before = cell(3, wh=(HIDDEN, 2 * HIDDEN), whn=(HIDDEN, HIDDEN))
    after = cell(3, bh=(3 * HIDDEN,))
    recording("gru_before_keep", gru_before, before)
    recording("gru_before_write", gru_before_write, before, by=by_jax)
    recording("gru_after_keep", lambda *x: by_torch_gru(*x, 1), after)
    recording("gru_after_write", lambda *x: by_torch_gru(*x, -1), after)
    recording("mgu", mgu, cell(2, wh=(HIDDEN, HIDDEN), whn=(HIDDEN, HIDDEN)))
    coupled = lambda *x: lstm(*x, coupled=True)
    norms = {"norm_x.gain": (4 * HIDDEN,), "norm_h.gain": (4 * HIDDEN,)}
    norms |= {"norm_c.gain": (HIDDEN,), "norm_c.bias": (HIDDEN,)}
    recording("lstm_peephole", lstm, cell(4, peep=(3 * HIDDEN,)), 2)
    recording("lstm_coupled", coupled, cell(3), 2)
    recording("lstm_coupled_peephole", coupled, cell(3, peep=(2 * HIDDEN,)), 2)
    recording("lstm_norm", lstm, cell(4, **norms), 2)
    recording("zoneout", zoneout, cell(4), 2)
    recording("variational", variational, cell(4), 4)
    recording("residual", residual, after)
    gate = {"gate.w": (IN, HIDDEN), "gate.b": (HIDDEN,)}
    recording("highway", highway, after | {"cell." + k: v for k, v in gate.items()})
    for kind, parameters in [(nn.RNN, cell(1)), (nn.GRU, after), (nn.LSTM, cell(4))]:
        for when in ["first", "all"]:
            name = f"{kind.__name__.lower()}_from_{when}"
            recording(name, from_one(kind, when == "first"), parameters, 0, (BATCH, IN))
    for stretch in range(2):
        recording(f"carried_{stretch}", carried(stretch), cell(4), 0, (BATCH, 2 * TIME, IN))
    affine = {"layer.w": (IN, HIDDEN), "layer.b": (HIDDEN,)}
    for f in [torch.tanh, torch.sigmoid, torch.relu, nn.Identity()]:
        name = getattr(f, "__name__", "identity")
        record(f"layer_{name}", named(affine, single(f)), [(BATCH, IN)], affine)
    stacked(nn.RNN, 1)
    stacked(nn.GRU, 3)
    merged("sum", "sum")
    merged("mean", "ave")
    square = (HIDDEN, HIDDEN)
    merged("form", "concat", {"v.wh": square, "v.wz": square, "v.b": (HIDDEN,)})


if __name__ == "__main__":
    main()
