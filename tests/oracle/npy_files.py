"""Files made by NumPy, recorded for tests/test_npy.c.

    python npy_files.py > npy_files.h        # record
    python npy_files.py check FILE...        # does NumPy load what sg__npy_write wrote?

Needs numpy.
"""

import io
import math
import sys

import numpy as np
from numpy.lib import format as npy

from safetensors_files import c_bytes, c_number

VALUES = {
    "<f4": [0.0, -0.0, 1.5, -math.inf, math.nan, 1e-45],
    "<f8": [0.1, -1e300, math.inf, 5e-324],
    "<i4": [0, -1, 2**31 - 1, -(2**31)],
    "<i8": [0, -1, 2**31 - 1, -(2**31)],
    "|u1": [0, 1, 127, 255],
    "|b1": [False, True, True, False],
    "<f2": [1.0, -2.5, 65504.0, 6e-8],
    "|i1": [0, -1, 127, -128],
    "<i2": [0, -1, 32767, -32768],
    "<u2": [0, 1, 65535, 2],
}
READ_AS = {"<f8": "F64", "|u1": "U8", "|b1": "U8", "<f4": "F32", "<f2": "F32"}


def saved(array, version=None):
    out = io.BytesIO()
    npy.write_array(out, array, version=version)
    return out.getvalue()


def rows():
    for descr, values in VALUES.items():
        yield np.array(values, descr), None
    yield np.float64(2.5), None
    yield np.zeros((0, 3), "<f4"), None
    yield np.arange(24, dtype="<i4").reshape(2, 3, 4), (1, 0)
    yield np.arange(6, dtype="<f4").reshape(1, 2, 1, 1, 3, 1, 1, 1), (2, 0)
    yield np.arange(6, dtype="<f8").reshape(3, 2), (3, 0)


HEADER = """/* Written by tests/oracle/npy_files.py: do not edit. */
#include <math.h>
#include <stddef.h>

/* clang-format off */"""


def record():
    print(HEADER)
    table = []
    for i, (array, version) in enumerate(rows()):
        array = np.asarray(array)
        blob = saved(array, version)
        print("static const unsigned char npy_%d[] = {\n%s\n};" % (i, c_bytes(blob)))
        numbers = ", ".join(c_number(x) for x in array.astype("f8").ravel())
        print("static const double npy_values_%d[] = {\n    %s\n};" % (i, numbers or "0"))
        shape = ", ".join(str(d) for d in array.shape)
        table.append(
            '    {"%s %s", npy_%d, %d, SG_%s, {%d, {%s}}, npy_values_%d},'
            % (array.dtype.str, array.shape, i, len(blob), READ_AS.get(array.dtype.str, "I32"),
               array.ndim, shape or "0", i)
        )
    print("\nstatic const struct recorded {\n    const char *name;\n    const unsigned char *file;")
    print("    size_t size;\n    sg_dtype dtype;\n    sg_shape shape;\n    const double *values;")
    print("} recorded[] = {\n%s\n};" % "\n".join(table))
    refused = {
        "fortran": saved(np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3))),
        "big_endian": saved(np.array([1.0], ">f4")),
        "structured": saved(np.zeros(1, [("a", "<f4")])),
        "text": saved(np.array(["ab"])),
        "too_large": saved(np.array([1, 2**31], "<i8")),
        "rank_9": saved(np.zeros((1,) * 9, "<f4")),
    }
    for name, blob in refused.items():
        print("static const unsigned char npy_%s[] = {\n%s\n};" % (name, c_bytes(blob)))


def check(path):
    array = np.load(path, allow_pickle=False)
    with open(path, "rb") as f:
        assert f.read().endswith(array.tobytes()), path
    print("%s: %s %s" % (path, array.dtype, list(array.shape)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        for file in sys.argv[2:]:
            check(file)
    else:
        record()
