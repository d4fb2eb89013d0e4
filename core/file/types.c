/*
 * Element types of files: which there are, and how each becomes one of ours without losing a bit of
 * its values. Data in foreign files may stand at any address, so it is always copied bytewise.
 */
#include "core/file/file.h"

#include <string.h>

#define WIDEN(from, type, result, expression)                                                      \
    static size_t widen_##from(size_t n, const unsigned char *in, void *out)                       \
    {                                                                                              \
        result *y = out;                                                                           \
        for (size_t i = 0; i < n; i++) {                                                           \
            type x;                                                                                \
            memcpy(&x, in + i * sizeof x, sizeof x);                                               \
            y[i] = (expression);                                                                   \
        }                                                                                          \
        return n;                                                                                  \
    }

WIDEN(bool, uint8_t, uint8_t, x != 0)
WIDEN(i8, int8_t, int32_t, x)
WIDEN(i16, int16_t, int32_t, x)
WIDEN(u16, uint16_t, int32_t, x)

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* bfloat16 is the upper half of an f32 */
WIDEN(bf16, uint16_t, float, from_bits((uint32_t)x << 16))

/* IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 31u, fraction = h & 1023u;
    if (exponent == 0) { /* zero, or fraction / 2^24, which is exact */
        float x = (float)fraction * 0x1p-24f;
        return sign != 0 ? -x : x;
    }
    exponent = exponent == 31 ? 255 : exponent + 127 - 15;
    return from_bits(sign | exponent << 23 | fraction << 13);
}

WIDEN(f16, uint16_t, float, from_half(x))

static size_t narrow_i64(size_t n, const unsigned char *in, void *out)
{
    int32_t *y = out;
    for (size_t i = 0; i < n; i++) {
        int64_t x;
        memcpy(&x, in + i * sizeof x, sizeof x);
        if (x < INT32_MIN || x > INT32_MAX) {
            return i;
        }
        y[i] = (int32_t)x;
    }
    return n;
}

/* Ours come first, in the order of sg_dtype. */
static const sg__file_type types[] = {
    {"F32", "<f4", SG_F32, 4, NULL},       {"F64", "<f8", SG_F64, 8, NULL},
    {"I32", "<i4", SG_I32, 4, NULL},       {"U8", "|u1", SG_U8, 1, NULL},
    {"BOOL", "|b1", SG_U8, 1, widen_bool}, {"I64", "<i8", SG_I32, 8, narrow_i64},
    {"F16", "<f2", SG_F32, 2, widen_f16},  {"BF16", NULL, SG_F32, 2, widen_bf16},
    {"I8", "|i1", SG_I32, 1, widen_i8},    {"I16", "<i2", SG_I32, 2, widen_i16},
    {"U16", "<u2", SG_I32, 2, widen_u16},
};
enum { TYPES = sizeof types / sizeof types[0] };

const sg__file_type *sg__file_type_named(const char *name)
{
    for (int i = 0; i < TYPES; i++) {
        if (strcmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

const sg__file_type *sg__file_type_descr(const char *descr)
{
    for (int i = 0; i < TYPES; i++) {
        if (types[i].descr != NULL && strcmp(types[i].descr, descr) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

const sg__file_type *sg__file_type_of(sg_dtype dtype)
{
    return &types[dtype];
}

bool sg__file_bytes(const sg_shape *shape, size_t element, size_t *bytes)
{
    size_t product = element;
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        size_t dim = (size_t)shape->dim[i];
        empty |= dim == 0;
        if (dim > 1 && product > (size_t)INT64_MAX / dim) {
            return false;
        }
        product *= dim > 0 ? dim : 1;
    }
    *bytes = empty ? 0 : product;
    return true;
}

bool sg__file_array(const sg__file_error *e, const char *what, sg_dtype dtype,
                    const sg_shape *shape, const void *data, size_t *bytes)
{
    if ((int)dtype < 0 || dtype >= SG_DTYPES) {
        return sg__file_fail(e, SG_BAD_DTYPE, "%s has no type", what);
    }
    bool good = shape->rank >= 0 && shape->rank <= SG_MAX_RANK;
    for (int i = 0; good && i < shape->rank; i++) {
        good = shape->dim[i] >= 0;
    }
    if (!good || !sg__file_bytes(shape, types[dtype].size, bytes)) {
        return sg__file_fail(e, SG_BAD_SHAPE, "%s has an impossible shape", what);
    }
    if (data == NULL && *bytes > 0) {
        return sg__file_fail(e, SG_BAD_ARGUMENT, "%s has no data", what);
    }
    return true;
}
