/* Fits y = 2x + 1 with the installed seqgrad, with something of each header, and checks the
 * derivatives of an op of its own; 0 if all is well. */
#include <seqgrad/seqgrad.h>

#include <math.h>
#include <stdio.h>

sg_tensor *softsign(sg_tensor *x); /* of own_op.c */

/* Both derivatives, alone and where it is fused with others. */
static bool has_derivatives(sg_context *g)
{
    static const float apart[6] = {-2, -1, -0.5, 0.5, 1, 2};
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(2, 3), apart);
    bool good = fabs(sg_item(sg_sum(softsign(x), SG_ALL_AXES, false))) < 1e-6;
    good = good && sg_gradcheck(softsign(x), 1, &x, .order = 2).ok;
    return good && sg_gradcheck(sg_tanh(softsign(sg_mul(x, x))), 1, &x, .order = 2).ok;
}

int main(void)
{
    static const float x[4] = {-1, 0, 1, 2}, y[4] = {-1, 1, 3, 5};
    sg_context *g = sg_open(.seed = 7);
    sg_optimizer sgd = sg_sgd(g, .rate = 0.2);
    double loss = 0;
    for (int i = 0; i < 100 && sg_ok(g); i++) {
        sg_affine line = sg_linear(g, "line", .in = 1, .out = 1);
        sg_tensor *miss = sg_sub(sg_apply(line, sg_input(g, SG_F32, SG_SHAPE(4, 1), x)),
                                 sg_input(g, SG_F32, SG_SHAPE(4, 1), y));
        sg_tensor *mean = sg_mean(sg_square(miss), SG_ALL_AXES, false);
        if (sg_step(&sgd, mean) == SG_OK)
            loss = sg_item(mean);
        sg_reset(g);
    }
    bool learned = has_derivatives(g) && sg_ok(g) && loss < 1e-6 && sg_text_width("日期") == 4;
    printf("seqgrad %s (%s): loss %g %s\n", sg_infos(g).version, sg_infos(g).isa, loss,
           sg_errmsg(g));
    sg_close(g);
    return learned ? 0 : 1;
}
