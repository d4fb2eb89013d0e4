"""What the generators of recordings share; tests/recorded.h is the same in C.

A recording holds what somebody else's program computes: values and gradients. What it computes them
from is not in it, for both sides draw it in the same way: inputs, then parameters in the order of
their names, then cotangents of the values.
"""

import math
import os

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


class Draw:
    """Multiples of 1/64 in [-1, 1], so that they are the same numbers in single precision."""

    def __init__(self):
        self.state = 1

    def __call__(self, *shape):
        values = []
        for _ in range(math.prod(shape)):
            self.state = (self.state * 1103515245 + 12345) % 2**32
            values.append(((self.state >> 16) % 129 - 64) / 64)
        return torch.tensor(values).reshape(shape)


def array(name, tensors, kind="double"):
    words = ["%.13g" % v for t in tensors for v in t.detach().flatten().tolist()]
    print(f"static const {kind} {name}[] = {{")
    line = "   "
    for word in words:
        if len(line) + len(word) + 2 > 100:
            print(line)
            line = "   "
        line += f" {word},"
    print(f"{line}\n}};")


def by_torch(f, inputs):
    inputs = [x.requires_grad_() for x in inputs]
    values = f(*inputs)
    return values, lambda seeds: torch.autograd.grad(values, inputs, seeds, materialize_grads=True)


def by_jax(f, inputs):
    """Of a function of arrays of JAX."""
    import jax
    import numpy

    jax.config.update("jax_enable_x64", True)
    values, pull = jax.vjp(lambda *x: tuple(f(*x)), *[jax.numpy.array(x.numpy()) for x in inputs])
    turn = lambda arrays: [torch.from_numpy(numpy.array(a)) for a in arrays]
    return turn(values), lambda s: turn(pull(tuple(jax.numpy.array(x.numpy()) for x in s)))


def keras_in_double():
    """Keras over torch; it rounds products in double to single precision unless its table of types
    says otherwise."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras.src.backend.common import dtypes

    keras.config.set_floatx("float64")
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    return keras


def record(name, f, inputs, parameters=None, by=by_torch):
    """inputs: shapes; parameters: shapes by name; f(*inputs, *parameters) is a list of values."""
    draw, parameters = Draw(), sorted((parameters or {}).items())
    shapes = list(inputs) + [shape for _, shape in parameters]
    values, pull = by(f, [draw(*shape) for shape in shapes])
    gradients = pull([draw(*v.shape) for v in values])
    array(name, [*values, *gradients])


def named(parameters, f):
    """f(*inputs, dictionary of parameters), as record calls it."""
    names = sorted(parameters)
    return lambda *x: f(*x[: len(x) - len(names)], dict(zip(names, x[len(x) - len(names) :])))


def head(program, packages, **sizes):
    versions = ", ".join(f"{p.__name__} {p.__version__.split('+')[0]}" for p in packages)
    print(f"/* By {program} with {versions}. */\n/* clang-format off */")
    print("enum {")
    for name, size in sizes.items():
        print(f"    {name} = {size},")
    print("};\n")
