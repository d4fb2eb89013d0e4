/*
 * Elementwise ops in a few lines: kernels for each instruction set, then the op itself.
 *
 *     SG_MAP1(tanh, F32, v_tanh(x));                                f32: a formula on vectors
 *     SG_EACH1(tanh, f64, f64, tanh(x));                            f64: a formula on scalars
 *     SG_UNARY(tanh, FLOATS, 0,                                     the op, with its derivative
 *              sg_mul(g, sg_sub(sg_like(y, 1), sg_square(y))));
 *
 * A family's file is compiled once for each set (see vector.h). SG_MAP and SG_EACH define the
 * kernels sg__<op>_<type>_<set> each time; SG_UNARY and SG_BINARY define vjp, descriptor and
 * wrapper sg_<op> in the generic set's object alone. An op of another form takes its table from
 * SG_KERNELS.
 *
 * SG_MAP(op, F32 or FLOATS, formula) is for floating-point arithmetic: x and y are vectors, and
 * tails are masked. SG_EACH(op, type, type of the result, formula) is for what rounds alike in any
 * lane or out of it, so that the compiler may split it as it likes: integers, comparisons,
 * selections, conversions, and libm, called element by element. Either may run in place of an
 * operand whose elements have the result's size.
 *
 * Types of an op's last operand are named FLOATS (f32 f64), NUMBERS (f32 f64 i32), ANY (and u8), or
 * U8 (that alone).
 */
#ifndef SG_VECTOR_MAP_H
#define SG_VECTOR_MAP_H

#include "ops/kernel/vector.h"

#if SG_ISA == 2
#define SG__SET avx512
#elif SG_ISA == 1
#define SG__SET avx2
#else
#define SG__SET generic
#endif
#define SG__NAME__(f, T, set) sg__##f##_##T##_##set
#define SG__NAME_(f, T, set)  SG__NAME__(f, T, set)
#define SG__NAME(f, T)        SG__NAME_(f, T, SG__SET)

/* ---- kernels on vectors -------------------------------------------------------------------- */

/* An operand's next vector stands at x; a single value is repeated in a vector of its own, over
 * which x does not advance. */
#define SG__OPERAND(T, x, i)                                                                       \
    v_##T x##_repeated = v_splat_##T(((const T##_at *)in[i])[0]);                                  \
    const char *x = single >> i & 1 ? (const char *)&x##_repeated : in[i];                         \
    const size_t x##_step = single >> i & 1 ? 0 : sizeof(v_##T)

#define SG__WIDE(T) (sizeof(v_##T) / sizeof(T))

#define SG__MAP1(f, T, formula)                                                                    \
    static inline v_##T f##_##T(v_##T x)                                                           \
    {                                                                                              \
        return formula;                                                                            \
    }                                                                                              \
    sg_map SG__NAME(f, T);                                                                         \
    void SG__NAME(f, T)(size_t n, void *out, const void *const *in, unsigned single)               \
    {                                                                                              \
        SG__OPERAND(T, x, 0);                                                                      \
        char *o = out;                                                                             \
        for (; n >= 2 * SG__WIDE(T); n -= 2 * SG__WIDE(T)) {                                       \
            v_##T a = f##_##T(v_load_##T(x)), b = f##_##T(v_load_##T(x + x_step));                 \
            v_store_##T(o, a);                                                                     \
            v_store_##T(o + sizeof a, b);                                                          \
            o += 2 * sizeof a, x += 2 * x_step;                                                    \
        }                                                                                          \
        for (; n >= SG__WIDE(T); n -= SG__WIDE(T)) {                                               \
            v_store_##T(o, f##_##T(v_load_##T(x)));                                                \
            o += sizeof(v_##T), x += x_step;                                                       \
        }                                                                                          \
        if (n)                                                                                     \
            v_store_part_##T(o, f##_##T(v_load_part_##T(x, n)), n);                                \
    }

/* Most calls are for few elements and without single values: these have code of their own. */
#define SG__MAP2(f, T, formula)                                                                    \
    static inline v_##T f##_##T(v_##T x, v_##T y)                                                  \
    {                                                                                              \
        return formula;                                                                            \
    }                                                                                              \
    static inline void f##_all_##T(size_t n, void *out, const void *const *in, unsigned single)    \
    {                                                                                              \
        SG__OPERAND(T, x, 0);                                                                      \
        SG__OPERAND(T, y, 1);                                                                      \
        char *o = out;                                                                             \
        for (; n >= 2 * SG__WIDE(T); n -= 2 * SG__WIDE(T)) {                                       \
            v_##T a = f##_##T(v_load_##T(x), v_load_##T(y));                                       \
            v_##T b = f##_##T(v_load_##T(x + x_step), v_load_##T(y + y_step));                     \
            v_store_##T(o, a);                                                                     \
            v_store_##T(o + sizeof a, b);                                                          \
            o += 2 * sizeof a, x += 2 * x_step, y += 2 * y_step;                                   \
        }                                                                                          \
        for (; n >= SG__WIDE(T); n -= SG__WIDE(T)) {                                               \
            v_store_##T(o, f##_##T(v_load_##T(x), v_load_##T(y)));                                 \
            o += sizeof(v_##T), x += x_step, y += y_step;                                          \
        }                                                                                          \
        if (n)                                                                                     \
            v_store_part_##T(o, f##_##T(v_load_part_##T(x, n), v_load_part_##T(y, n)), n);         \
    }                                                                                              \
    sg_map SG__NAME(f, T);                                                                         \
    void SG__NAME(f, T)(size_t n, void *out, const void *const *in, unsigned single)               \
    {                                                                                              \
        if (single)                                                                                \
            f##_all_##T(n, out, in, single);                                                       \
        else                                                                                       \
            f##_all_##T(n, out, in, 0);                                                            \
    }

#define SG__MAP1_F32(f, formula) SG__MAP1(f, f32, formula)
#define SG__MAP1_FLOATS(f, formula)                                                                \
    SG__MAP1(f, f32, formula)                                                                      \
    SG__MAP1(f, f64, formula)
#define SG__MAP2_FLOATS(f, formula)                                                                \
    SG__MAP2(f, f32, formula)                                                                      \
    SG__MAP2(f, f64, formula)

/* The last line of each makes the semicolon after it welcome. */
#define SG_MAP1(f, types, formula) SG__MAP1_##types(f, formula) sg_map SG__NAME(f, f32)
#define SG_MAP2(f, types, formula) SG__MAP2_##types(f, formula) sg_map SG__NAME(f, f32)

/* ---- kernels on scalars -------------------------------------------------------------------- */

/* Elements go in blocks of a constant size through an array of the results: loops that compilers
 * turn into vectors, also when out is an operand. */
enum { SG__BLOCK = 64 };

#define SG__BLOCKS(R, element)                                                                     \
    char *o = out;                                                                                 \
    for (size_t i = 0; i < n; i += SG__BLOCK) {                                                    \
        R r[SG__BLOCK];                                                                            \
        size_t m = n - i < SG__BLOCK ? n - i : SG__BLOCK;                                          \
        if (m == SG__BLOCK)                                                                        \
            for (size_t k = 0; k < SG__BLOCK; k++)                                                 \
                r[k] = element;                                                                    \
        else                                                                                       \
            for (size_t k = 0; k < m; k++)                                                         \
                r[k] = element;                                                                    \
        memcpy(o + i * sizeof(R), r, m * sizeof(R));                                               \
    }

/* Element i + k of operand x is x[(i & x_mask) + k]: a single value fills an array of one block,
 * which all blocks read. */
#define SG__SCALARS(T, x, j)                                                                       \
    T x##_repeated[SG__BLOCK];                                                                     \
    const T##_at *x = in[j];                                                                       \
    size_t x##_mask = SIZE_MAX;                                                                    \
    if (single >> j & 1) {                                                                         \
        for (size_t k = 0; k < SG__BLOCK; k++)                                                     \
            x##_repeated[k] = x[0];                                                                \
        x = (const T##_at *)x##_repeated;                                                          \
        x##_mask = 0;                                                                              \
    }

#define SG_EACH1(f, T, R, formula)                                                                 \
    static inline R f##_##T(T x)                                                                   \
    {                                                                                              \
        return formula;                                                                            \
    }                                                                                              \
    sg_map SG__NAME(f, T);                                                                         \
    void SG__NAME(f, T)(size_t n, void *out, const void *const *in, unsigned single)               \
    {                                                                                              \
        SG__SCALARS(T, x, 0);                                                                      \
        SG__BLOCKS(R, f##_##T(x[(i & x_mask) + k]));                                               \
    }                                                                                              \
    sg_map SG__NAME(f, T)

#define SG_EACH2(f, T, R, formula)                                                                 \
    static inline R f##_##T(T x, T y)                                                              \
    {                                                                                              \
        return formula;                                                                            \
    }                                                                                              \
    sg_map SG__NAME(f, T);                                                                         \
    void SG__NAME(f, T)(size_t n, void *out, const void *const *in, unsigned single)               \
    {                                                                                              \
        SG__SCALARS(T, x, 0);                                                                      \
        SG__SCALARS(T, y, 1);                                                                      \
        SG__BLOCKS(R, f##_##T(x[(i & x_mask) + k], y[(i & y_mask) + k]));                          \
    }                                                                                              \
    sg_map SG__NAME(f, T)

/* ---- the op -------------------------------------------------------------------------------- */

/* A row of an op's table: its kernels of one type. The names of all sets exist everywhere, for
 * tests and benchmarks. */
#ifdef SG_X86
#define SG__DECLARE(f, T)                                                                          \
    sg_map SG__NAME__(f, T, generic), SG__NAME__(f, T, avx2), SG__NAME__(f, T, avx512);
#define SG__ROW(f, T)                                                                              \
    {                                                                                              \
        SG__NAME__(f, T, generic), SG__NAME__(f, T, avx2), SG__NAME__(f, T, avx512)                \
    }
#else
#define SG__DECLARE(f, T) sg_map SG__NAME__(f, T, generic);
#define SG__ROW(f, T)                                                                              \
    {                                                                                              \
        SG__NAME__(f, T, generic)                                                                  \
    }
#endif

#define SG__TYPES_FLOATS  SG_FLOATS
#define SG__TYPES_NUMBERS (SG_FLOATS | 1 << SG_I32)
#define SG__TYPES_ANY     SG_ALL
#define SG__TYPES_U8      (1 << SG_U8)

#define SG__DECLARE_FLOATS(f)                                                                      \
    SG__DECLARE(f, f32)                                                                            \
    SG__DECLARE(f, f64)
#define SG__DECLARE_NUMBERS(f)                                                                     \
    SG__DECLARE_FLOATS(f)                                                                          \
    SG__DECLARE(f, i32)
#define SG__DECLARE_ANY(f)                                                                         \
    SG__DECLARE_NUMBERS(f)                                                                         \
    SG__DECLARE(f, u8)
#define SG__DECLARE_U8(f)   SG__DECLARE(f, u8)

#define SG__ROWS_FLOATS(f)  [SG_F32] = SG__ROW(f, f32), [SG_F64] = SG__ROW(f, f64)
#define SG__ROWS_NUMBERS(f) SG__ROWS_FLOATS(f), [SG_I32] = SG__ROW(f, i32)
#define SG__ROWS_ANY(f)     SG__ROWS_NUMBERS(f), [SG_U8] = SG__ROW(f, u8)
#define SG__ROWS_U8(f)      [SG_U8] = SG__ROW(f, u8)

/* static sg_map *const name_map[SG_DTYPES][SG_ISAS] */
#define SG_KERNELS(f, types)                                                                       \
    SG__DECLARE_##types(f) static sg_map *const f##_map[SG_DTYPES][SG_ISAS] = {SG__ROWS_##types(f)}

#if SG_ISA == 0

/* `by_x` is the cotangent of x, from x, the result y and its cotangent g. */
#define SG_UNARY(f, types, flags_, by_x)                                                           \
    SG_KERNELS(f, types);                                                                          \
    static sg_tensor *f##_vjp(const sg_vjp_call *v, int i)                                         \
    {                                                                                              \
        sg_tensor *x = v->in[0], *y = v->out, *g = v->g;                                           \
        (void)i, (void)x, (void)y, (void)g;                                                        \
        return by_x;                                                                               \
    }                                                                                              \
    static const sg_op f##_op = {                                                                  \
        .name = #f,                                                                                \
        .args = "x",                                                                               \
        .flags = flags_,                                                                           \
        .arity = 1,                                                                                \
        .dtypes = SG__TYPES_##types,                                                               \
        .map = f##_map,                                                                            \
        .vjp = f##_vjp,                                                                            \
    };                                                                                             \
    sg_tensor *sg_##f(sg_tensor *x)                                                                \
    {                                                                                              \
        return sg_record(&f##_op, NULL, 1, &x);                                                    \
    }                                                                                              \
    sg_tensor *sg_##f(sg_tensor *x)

/* `by_x` and `by_y` are the cotangents of x and y, from them, the result z and its cotangent g;
 * they may have the result's shape. */
#define SG_BINARY(f, types, flags_, by_x, by_y)                                                    \
    SG_KERNELS(f, types);                                                                          \
    static sg_tensor *f##_vjp(const sg_vjp_call *v, int i)                                         \
    {                                                                                              \
        sg_tensor *x = v->in[0], *y = v->in[1], *z = v->out, *g = v->g;                            \
        (void)x, (void)y, (void)z, (void)g;                                                        \
        if (i == 0)                                                                                \
            return by_x;                                                                           \
        return by_y;                                                                               \
    }                                                                                              \
    static const sg_op f##_op = {                                                                  \
        .name = #f,                                                                                \
        .args = "x y",                                                                             \
        .flags = flags_,                                                                           \
        .arity = 2,                                                                                \
        .dtypes = SG__TYPES_##types,                                                               \
        .map = f##_map,                                                                            \
        .vjp = f##_vjp,                                                                            \
    };                                                                                             \
    sg_tensor *sg_##f(sg_tensor *x, sg_tensor *y)                                                  \
    {                                                                                              \
        return sg_record(&f##_op, NULL, 2, (sg_tensor *[]){x, y});                                 \
    }                                                                                              \
    sg_tensor *sg_##f(sg_tensor *x, sg_tensor *y)

#else

#define SG_UNARY(f, types, flags, by_x)        sg_map SG__NAME(f, f32)
#define SG_BINARY(f, types, flags, by_x, by_y) sg_map SG__NAME(f, f32)

#endif

#endif
