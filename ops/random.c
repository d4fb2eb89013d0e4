/*
 * Random numbers as functions of where they stand: the key comes from the seed and the reset count
 * (a leaf, so that a new reset needs no new plan), the counter from the site of the call, the row
 * and the column. f64 numbers extend the f32 numbers of the same place by further bits, so that a
 * graph that is recorded again in f64 draws the same, but for rounding.
 */
#include "ops/ops_internal.h"
#include "core/philox.h"

#include <math.h>

typedef struct {
    sg_shape shape;
    uint64_t site;
} random_attr;

static bool random_infer(sg_infer *i)
{
    const random_attr *a = i->attr;
    i->shape = a->shape;
    return true;
}

typedef struct {
    uint32_t key[2];
    uint64_t site;
} stream;

static stream open_stream(const sg_call *c)
{
    const random_attr *a = c->attr;
    const uint32_t *word = c->in[0].data; /* seed and reset count, low words first */
    uint32_t block[4];
    sg__philox(word, (const uint32_t[]){word[2], word[3], 0, 0}, block);
    return (stream){{block[0], block[1]}, a->site};
}

/* Four numbers in [0, 1) with 53 bits, whose first 24 come from one block: numbers with 24 bits
 * need no other. `column` is a multiple of 4; bits of row and column above 32 go into the site's.
 */
static void draw(const stream *s, int64_t row, int64_t column, bool wide, double u[4])
{
    uint64_t c = (uint64_t)column / 4, r = (uint64_t)row;
    uint32_t counter[] = {(uint32_t)c, (uint32_t)r, (uint32_t)s->site ^ (uint32_t)(r >> 32),
                          (uint32_t)(s->site >> 32) ^ (uint32_t)(c >> 32)};
    uint32_t high[4], low[4] = {0};
    sg__philox(s->key, counter, high);
    if (wide)
        sg__philox((const uint32_t[]){s->key[0], ~s->key[1]}, counter, low);
    for (int k = 0; k < 4; k++) {
        uint64_t bits =
            wide ? (uint64_t)(high[k] >> 8) << 29 | low[k] >> 3 : (uint64_t)(high[k] >> 8) << 29;
        u[k] = (double)bits * 0x1p-53;
    }
}

typedef void shape_four(double u[4]);

static void uniform(double u[4])
{
    (void)u;
}

/* Box & Muller 1958: sqrt(-2 ln a) (cos 2 pi b, sin 2 pi b), with a in (0, 1] */
static void normal(double u[4])
{
    const double two_pi = 6.283185307179586476925;
    for (int k = 0; k < 4; k += 2) {
        double r = sqrt(-2 * log(1 - u[k])), angle = two_pi * u[k + 1];
        u[k] = r * cos(angle);
        u[k + 1] = r * sin(angle);
    }
}

static sg_shares shares(const sg_call *c)
{
    return (sg_shares){.n = sg__rows(&c->out).outer, .unit = 1};
}

static bool run(const sg_call *c, shape_four *f)
{
    stream s = open_stream(c);
    sg__around out = sg__rows(&c->out);
    bool wide = c->out.dtype == SG_F64;
    int64_t row, end;
    sg__my_share(c, out.outer, 1, &row, &end);
    for (; row < end; row++)
        for (int64_t column = 0; column < out.size; column += 4) {
            double u[4];
            draw(&s, row, column, wide, u);
            f(u);
            for (int64_t k = 0; k < 4 && column + k < out.size; k++)
                if (wide)
                    ((double *)c->out.data)[row * out.size + column + k] = u[k];
                else
                    ((float *)c->out.data)[row * out.size + column + k] = (float)u[k];
        }
    return true;
}

static bool uniform_run(const sg_call *c)
{
    return run(c, uniform);
}

static bool normal_run(const sg_call *c)
{
    return run(c, normal);
}

static const sg_attr random_attrs[] = {
    {"shape", 's', offsetof(random_attr, shape)}, {"site", 'u', offsetof(random_attr, site)}, {0}};
static const sg_op *const uniform_ops[SG_DTYPES], *const normal_ops[SG_DTYPES];

#define RANDOM(label, T, runs, table)                                                              \
    {                                                                                              \
        .name = label, .args = "stream",                                                           \
        .flags = SG_OP_RANDOM | SG_OP_CONSTANT | SG_OP_SPLIT | SG_OP_SURE, .arity = 1,             \
        .dtypes = 1 << SG_I32, .attr_size = sizeof(random_attr), .attrs = random_attrs,            \
        .infer = random_infer, .result = 1 + (T), .typed = table, .run = runs, .shares = shares,   \
    }
static const sg_op uniform_op[] = {
    RANDOM("random_uniform", SG_F32, uniform_run, uniform_ops),
    RANDOM("random_uniform", SG_F64, uniform_run, uniform_ops),
};
static const sg_op normal_op[] = {
    RANDOM("random_normal", SG_F32, normal_run, normal_ops),
    RANDOM("random_normal", SG_F64, normal_run, normal_ops),
};
static const sg_op *const uniform_ops[SG_DTYPES] = {
    [SG_F32] = &uniform_op[0], [SG_F64] = &uniform_op[1]};
static const sg_op *const normal_ops[SG_DTYPES] = {
    [SG_F32] = &normal_op[0], [SG_F64] = &normal_op[1]};

static sg_tensor *record(sg_context *g, const sg_op *const *ops, sg_dtype dtype,
                         const sg_shape *shape)
{
    random_attr a;
    memset(&a, 0, sizeof a);
    if ((unsigned)dtype >= SG_DTYPES || !ops[dtype])
        return sg_fail(g, SG_BAD_DTYPE, "%s: neither f32 nor f64", ops[SG_F32]->name);
    a.shape.rank = shape->rank;
    for (int d = 0; d < shape->rank && d < SG_MAX_RANK; d++)
        a.shape.dim[d] = shape->dim[d];
    a.site = sg_site(g);
    sg_tensor *words = sg_stream(g);
    return sg_record(ops[dtype], &a, 1, &words);
}

sg_tensor *sg_random_uniform(sg_context *g, sg_dtype dtype, sg_shape shape)
{
    return record(g, uniform_ops, dtype, &shape);
}

sg_tensor *sg_random_normal(sg_context *g, sg_dtype dtype, sg_shape shape)
{
    return record(g, normal_ops, dtype, &shape);
}

sg_tensor *sg_random_bernoulli(sg_context *g, sg_shape shape, double p)
{
    if (!(p >= 0 && p <= 1))
        return sg_fail(g, SG_BAD_ARGUMENT, "random_bernoulli: %g is no probability", p);
    sg_tensor *u = sg_random_uniform(g, SG_F32, shape);
    return sg_less(u, sg_like(u, p));
}
