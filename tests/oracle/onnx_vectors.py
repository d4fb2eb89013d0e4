"""ONNX's node tests, converted to JSON lines for tests/onnx.c.

    python onnx_vectors.py > onnx_vectors.jsonl

Needs onnx==1.20.0, whose wheel holds the tests as protobufs: for each one a model of one node, or
of the nodes that its function body expands to, with inputs and expected outputs. They have no
recurrent layer that runs backwards or over sequences of several lengths, and no GRU that is linear
before its reset: these are added, under names that begin with "reference_", by ONNX's reference
implementation run over each sequence alone. A line is a test:

    {"name": "test_add", "types": [of all tensors], "ops": [of all nodes],
     "inputs": [tensor], "outputs": [tensor], "nodes": [node]}
    tensor: {"name": "x", "type": "float32", "shape": [2], "hex": "0000803f00000040"}
    node: {"op": "Add", "in": ["x", ""], "out": ["y"], "attrs": {"axis": 1}}

`hex` is little-endian and row-major; it stands only beside types that the reader has. An operand
that is left out is "". An attribute is a number, a text, a list of either, a tensor, or a graph
{"inputs": [name], "outputs": [name], "nodes": [node]}; a number that is not finite is a text.
Initializers are inputs; what is no tensor (a sequence, an optional) is one without a shape.
"""

import json
import math
import os
import sys

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

VERSION = "1.20.0"
NUMPY = {
    "FLOAT": "<f4",
    "DOUBLE": "<f8",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "|u1",
    "BOOL": "|b1",
}
NAMES = {"FLOAT": "float32", "DOUBLE": "float64"}


def type_name(code):
    proto = TensorProto.DataType.Name(code)
    return NAMES.get(proto, proto.lower())


def tensor(proto, name=None):
    kind = type_name(proto.data_type)
    out = {"name": name or proto.name, "type": kind, "shape": list(proto.dims)}
    dtype = NUMPY.get(TensorProto.DataType.Name(proto.data_type))
    if dtype:
        out["hex"] = numpy_helper.to_array(proto).astype(dtype).tobytes().hex()
    return out


def number(x):
    return x if isinstance(x, int) or math.isfinite(x) else str(x)


def text(x):
    return x.decode("utf-8", "replace")


def attribute(a):
    """The value of an attribute, whose field depends on its type."""
    kind = AttributeProto.AttributeType.Name(a.type)
    one = {"FLOAT": number, "INT": number, "STRING": text, "TENSOR": tensor, "GRAPH": graph}
    many = {"FLOATS": (a.floats, number), "INTS": (a.ints, number), "STRINGS": (a.strings, text)}
    if kind in many:
        values, convert = many[kind]
        return [convert(v) for v in values]
    if kind in one:
        return one[kind](helper.get_attribute_value(a))
    return "a %s attribute" % kind.lower()


def node(n):
    op = "%s.%s" % (n.domain, n.op_type) if n.domain else n.op_type
    attrs = {a.name: attribute(a) for a in n.attribute}
    return {"op": op, "in": list(n.input), "out": list(n.output), "attrs": attrs}


def graph(g):
    assert not g.initializer, g.name
    return {
        "inputs": [v.name for v in g.input],
        "outputs": [v.name for v in g.output],
        "nodes": [node(n) for n in g.node],
    }


def walk(nodes):
    """All nodes, those of subgraphs too."""
    for n in nodes:
        yield n
        for a in n["attrs"].values():
            if isinstance(a, dict) and "nodes" in a:
                yield from walk(a["nodes"])


def values(case, kind, declared):
    """The recorded inputs or outputs, under the names that the graph declares."""
    out = []
    for i, value in enumerate(declared):
        with open(os.path.join(case, "test_data_set_0", "%s_%d.pb" % (kind, i)), "rb") as f:
            data = f.read()
        kind_of_value = value.type.WhichOneof("value")
        if kind_of_value == "tensor_type":
            out.append(tensor(TensorProto.FromString(data), value.name))
        else:
            out.append({"name": value.name, "type": kind_of_value.split("_")[0]})
    return out


def convert(case, name):
    model = onnx.load(os.path.join(case, "model.onnx"))
    initial = {t.name for t in model.graph.initializer}
    declared = [v for v in model.graph.input if v.name not in initial]
    inputs = values(case, "input", declared) + [tensor(t) for t in model.graph.initializer]
    outputs = values(case, "output", model.graph.output)
    nodes = [node(n) for n in model.graph.node]
    every = list(walk(nodes))
    tensors = inputs + outputs + [
        a for n in every for a in n["attrs"].values() if isinstance(a, dict) and "type" in a
    ]
    casts = [type_name(n["attrs"]["to"]) for n in every if n["op"] == "Cast"]
    return {
        "name": name,
        "types": sorted({t["type"] for t in tensors} | set(casts)),
        "ops": sorted({n["op"] for n in every}),
        "inputs": inputs,
        "outputs": outputs,
        "nodes": nodes,
    }


# ---- recurrent layers by the reference implementation --------------------------------------------

TIME, BATCH, IN, HIDDEN = 5, 3, 4, 3
LENGTHS = [5, 2, 3]
KINDS = {
    "rnn": ("RNN", 1, False, {}),
    "gru": ("GRU", 3, False, {}),
    "gru_linear_before_reset": ("GRU", 3, False, {"linear_before_reset": 1}),
    "lstm": ("LSTM", 4, False, {}),
    "lstm_peepholes": ("LSTM", 4, True, {}),
}


def run_reference(op, attrs, feeds):
    """Y of one sequence in one direction: [time, 1, 1, hidden]."""
    names = list(feeds)
    n = helper.make_node(op, [k if feeds[k] is not None else "" for k in names], ["Y"], **attrs)
    given = {k: v for k, v in feeds.items() if v is not None}
    info = helper.make_tensor_value_info
    inputs = [info(k, TensorProto.FLOAT, v.shape) for k, v in given.items()]
    output = info("Y", TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph([n], op, inputs, [output]), opset_imports=[helper.make_opsetid("", 22)]
    )
    return ReferenceEvaluator(model).run(None, given)[0]


def recurrent(name, direction):
    op, gates, peepholes, attrs = KINDS[name]
    draw = np.random.default_rng(len(name) + 100 * len(direction))
    directions = 2 if direction == "bidirectional" else 1

    def uniform(*shape):
        return draw.uniform(-1, 1, shape).astype(np.float32)

    x = uniform(TIME, BATCH, IN)
    w, r = uniform(directions, gates * HIDDEN, IN), uniform(directions, gates * HIDDEN, HIDDEN)
    b, h = uniform(directions, 2 * gates * HIDDEN), uniform(directions, BATCH, HIDDEN)
    c = uniform(directions, BATCH, HIDDEN) if op == "LSTM" else None
    p = uniform(directions, 3 * HIDDEN) if peepholes else None
    y = np.zeros((TIME, directions, BATCH, HIDDEN), np.float32)
    last = np.zeros((directions, BATCH, HIDDEN), np.float32)
    for d in range(directions):
        backward = direction == "reverse" or d == 1
        for row, length in enumerate(LENGTHS):
            one = x[:length, row : row + 1]
            feeds = {"X": one[::-1] if backward else one, "W": w[d : d + 1], "R": r[d : d + 1],
                     "B": b[d : d + 1], "sequence_lens": None,
                     "initial_h": h[d : d + 1, row : row + 1]}
            if c is not None:
                feeds["initial_c"] = c[d : d + 1, row : row + 1]
            if p is not None:
                feeds["P"] = p[d : d + 1]
            out = run_reference(op, dict(attrs, hidden_size=HIDDEN), feeds)[:, 0, 0]
            y[:length, d, row] = out[::-1] if backward else out
            last[d, row] = out[-1]
    arrays = {"X": x, "W": w, "R": r, "B": b, "sequence_lens": np.array(LENGTHS, np.int32),
              "initial_h": h, "initial_c": c, "P": p}
    given = {k: v for k, v in arrays.items() if v is not None}
    attrs = dict(attrs, hidden_size=HIDDEN, direction=direction)
    return {
        "name": "reference_%s_%s" % (name, direction),
        "types": ["float32", "int32"],
        "ops": [op],
        "inputs": [tensor(numpy_helper.from_array(v, k)) for k, v in given.items()],
        "outputs": [
            tensor(numpy_helper.from_array(y, "Y")), tensor(numpy_helper.from_array(last, "Y_h"))
        ],
        "nodes": [{"op": op, "in": list(given), "out": ["Y", "Y_h"], "attrs": attrs}],
    }


def main():
    if onnx.__version__ != VERSION:
        sys.exit("onnx %s is needed, not %s" % (VERSION, onnx.__version__))
    root = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "node")
    for name in sorted(os.listdir(root)):
        print(json.dumps(convert(os.path.join(root, name), name), allow_nan=False))
    for name in KINDS:
        for direction in ("forward", "reverse", "bidirectional"):
            print(json.dumps(recurrent(name, direction)))


if __name__ == "__main__":
    main()
