"""Safetensors files made by its own package, recorded for tests/test_safetensors.c.

    python safetensors_files.py > safetensors_files.h    # record
    python safetensors_files.py check FILE...            # does the package load what sg_save wrote?

Needs safetensors==0.8.0, numpy and xxhash. The model at the end is put together here by hand from
the format's description in core/file/safetensors.h, so that the C writer has something to agree
with, and is loaded by the package before it is recorded.
"""

import ctypes
import json
import math
import struct
import sys

import numpy as np
import safetensors
import safetensors.numpy
import xxhash

CHECKSUM = b'{"__metadata__":{"seqgrad.checksum":"'

# type in the package, as numpy, values in the file, what they are read as
TYPES = [
    ("float32", "<f4", [0.0, -0.0, 1.5, -math.inf, math.nan, 1e-45], "F32"),
    ("float64", "<f8", [0.1, -1e300, math.inf, 5e-324], "F64"),
    ("int32", "<i4", [0, -1, 2**31 - 1, -(2**31)], "I32"),
    ("uint8", "|u1", [0, 1, 127, 255], "U8"),
    ("bool", "|b1", [False, True, True], "U8"),
    ("int64", "<i8", [0, -1, 2**31 - 1, -(2**31)], "I32"),
    ("float16", "<f2", [0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, -6e-5, math.inf, math.nan], "F32"),
    ("int8", "|i1", [0, -1, 127, -128], "I32"),
    ("int16", "<i2", [0, -1, 32767, -32768], "I32"),
    ("uint16", "<u2", [0, 1, 65535], "I32"),
    ("uint32", "<u4", [0, 1], None),
    ("uint64", "<u8", [0, 1], None),
    ("float8_e4m3fn", None, b"\0\1", None),
    ("float8_e5m2", None, b"\0\1", None),
    ("complex64", "<c8", [1j], None),
]


def pack(tensors, metadata=None):
    """tensors: name -> (type, shape, bytes)"""
    keep = {k: ctypes.create_string_buffer(b, len(b)) for k, (_, _, b) in tensors.items()}
    specs = {
        k: safetensors.TensorSpec(
            dtype=t, shape=list(s), data_ptr=ctypes.addressof(keep[k]), data_len=len(b)
        )
        for k, (t, s, b) in tensors.items()
    }
    return safetensors.serialize(specs, metadata)


def c_number(x):
    x = float(x)
    if math.isnan(x):
        return "NAN"
    if math.isinf(x):
        return "INFINITY" if x > 0 else "-INFINITY"
    return x.hex() if x != int(x) or math.copysign(1, x) < 0 or abs(x) > 2**53 else str(int(x))


def c_bytes(data):
    lines = [data[i : i + 16] for i in range(0, len(data), 16)]
    return "\n".join("    " + " ".join("0x%02x," % b for b in line) for line in lines)


def one_type(row):
    kind, numpy_type, values, read_as = row
    if isinstance(values, bytes):
        data, count, numbers = values, len(values), []
    else:
        array = np.array(values, numpy_type)
        data, count = array.tobytes(), array.size
        numbers = [] if read_as is None else array.astype("f8")
    blob = pack({"x": (kind, [count], data)})
    if numpy_type is not None:
        assert safetensors.numpy.load(blob)["x"].tobytes() == data
    return blob, count if read_as else 0, numbers, read_as


def bfloat16():
    bits = [0x0000, 0x8000, 0x3F80, 0xC020, 0x7F80, 0x0001]
    values = [struct.unpack("<f", struct.pack("<I", b << 16))[0] for b in bits]
    blob = pack({"x": ("bfloat16", [len(bits)], struct.pack("<6H", *bits))})
    return blob, len(bits), values, "F32"


def several():
    return pack(
        {
            "w": ("float32", [2, 3], np.arange(6, dtype="<f4").tobytes()),
            "scalar": ("float64", [], np.float64(2.5).tobytes()),
            "none": ("float32", [0, 7], b""),
            "mask": ("bool", [1, 3], b"\1\0\1"),
            "größe": ("int64", [1], np.int64(-7).tobytes()),
        },
        {"format": "np", "note": 'a "quoted"\nline'},
    )


def model():
    texts = {"config": 'tab\t, line\n, "quote", \\ and \u00e9\U0001f600', "empty": "", "\x01": "\x7f"}
    tensors = [
        ("mask", "U8", [5], bytes(range(5))),
        ("enc.w", "F32", [2, 3], np.arange(6, dtype="<f4").tobytes()),
        ("none", "F32", [0, 4], b""),
        ("step", "I32", [], np.int32(-3).tobytes()),
        ('größe "\\"', "F64", [1, 3], np.array([0.1, -0.5, 1e9], "<f8").tobytes()),
    ]
    size = {"U8": 1, "F32": 4, "I32": 4, "F64": 8}
    order = sorted(tensors, key=lambda t: -size[t[1]])  # stable
    begin, at = {}, 0
    for name, _, _, data in order:
        begin[name] = at
        at += len(data)
    header = {"__metadata__": {"seqgrad.checksum": "0" * 32, "seqgrad.format": "1", **texts}}
    for name, dtype, shape, data in tensors:
        offsets = [begin[name], begin[name] + len(data)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    # ours writes tabs as \u0009, which json.dumps abbreviates
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).replace("\\t", "\\u0009")
    text = text.encode()
    text += b" " * (-len(text) % 8)
    blob = struct.pack("<Q", len(text)) + text + b"".join(t[3] for t in order)
    assert text.startswith(CHECKSUM)
    at = 8 + len(CHECKSUM)
    blob = blob[:at] + xxhash.xxh3_128(blob).hexdigest().encode() + blob[at + 32 :]
    loaded = safetensors.numpy.load(blob)
    assert {k: (v.tobytes(), list(v.shape)) for k, v in loaded.items()} == {
        name: (data, shape) for name, _, shape, data in tensors
    }
    return blob


def record():
    print("/* Written by tests/oracle/safetensors_files.py: do not edit. */")
    print("#include <math.h>\n#include <stddef.h>\n")
    print("/* clang-format off */")
    rows = [(row[0], *one_type(row)) for row in TYPES] + [("bfloat16", *bfloat16())]
    for name, blob, _, numbers, _ in rows:
        print("static const unsigned char file_%s[] = {\n%s\n};" % (name, c_bytes(blob)))
        if len(numbers) > 0:
            print("static const double values_%s[] = {" % name)
            print("    %s\n};" % ", ".join(c_number(x) for x in numbers))
    print("\n/* a tensor \"x\" of every type; those without values are refused */")
    print("static const struct recorded {\n    const char *type;\n    const unsigned char *file;")
    print("    size_t size;\n    int n;\n    const double *values;\n    sg_dtype dtype;")
    print("} recorded[] = {")
    for name, blob, n, numbers, read_as in rows:
        values = "values_" + name if n > 0 else "NULL"
        dtype = "SG_" + read_as if read_as else "SG_DTYPES"
        print('    {"%s", file_%s, %d, %d, %s, %s},' % (name, name, len(blob), n, values, dtype))
    print("};\n")
    print("static const unsigned char several_file[] = {\n%s\n};" % c_bytes(several()))
    print("static const unsigned char model_file[] = {\n%s\n};" % c_bytes(model()))


def check(path):
    with open(path, "rb") as f:
        blob = f.read()
    tensors = safetensors.numpy.load_file(path)
    at = 8 + len(CHECKSUM)
    assert blob[8:at] == CHECKSUM, path
    zeroed = blob[:at] + b"0" * 32 + blob[at + 32 :]
    assert xxhash.xxh3_128(zeroed).hexdigest().encode() == blob[at : at + 32], path
    with safetensors.safe_open(path, "np") as f:
        assert f.metadata()["seqgrad.format"] == "1", path
    for name, array in tensors.items():
        print("%s: %s %s %s" % (path, name, array.dtype, list(array.shape)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        for file in sys.argv[2:]:
            check(file)
    else:
        record()
