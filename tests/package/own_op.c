/* An op of one's own in a project outside seqgrad: softsign, x / (1 + |x|), by element. One kernel
 * in plain C serves all instruction sets; its derivative is a formula of public ops. */
#include <seqgrad/seqgrad.h>

#include <math.h>

#define SOFTSIGN(name, type, absolute)                                                             \
    static void name(size_t n, void *out, const void *const *in, unsigned single)                  \
    {                                                                                              \
        const type *x = in[0];                                                                     \
        type *y = out;                                                                             \
        for (size_t i = 0; i < n; i++) {                                                           \
            type v = x[single & 1 ? 0 : i];                                                        \
            y[i] = v / (1 + absolute(v));                                                          \
        }                                                                                          \
    }
SOFTSIGN(softsign_f32, float, fabsf)
SOFTSIGN(softsign_f64, double, fabs)

static sg_map *const maps[SG_DTYPES][SG_ISAS] = {
    [SG_F32] = {softsign_f32, softsign_f32, softsign_f32},
    [SG_F64] = {softsign_f64, softsign_f64, softsign_f64}};

/* g / (1 + |x|)² */
static sg_tensor *softsign_vjp(const sg_vjp_call *v, int i)
{
    (void)i; /* of its only operand */
    sg_tensor *x = v->in[0];
    return sg_div(v->g, sg_square(sg_add(sg_like(x, 1), sg_abs(x))));
}

static const sg_op softsign_op = {
    .name = "softsign", .args = "x", .arity = 1, .map = maps, .vjp = softsign_vjp};

sg_tensor *softsign(sg_tensor *x)
{
    return sg_record(&softsign_op, NULL, 1, &x);
}
