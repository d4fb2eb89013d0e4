/* Fusion of extra information, and what else joins by a matrix: formulas, identities, gradients. */
#include "models/models.h"
#include "tests/models_test.h"

enum { B = 4, T = 5 };
enum { HF = 3, ZF = 2, OUT = 4 };

static sg_fusion make_fusion(sg_context *g, int kind)
{
    bool alike = kind == SG_FUSE_MEAN;
    return sg_make_fusion(g, "f", (sg_fusion_kind)kind, HF, alike ? HF : ZF,
                          .out = kind == SG_FUSE_MLP ? OUT : 0, .project = kind == SG_FUSE_ADD,
                          .activation = kind == SG_FUSE_MLP ? SG_SIGMOID : 0, .dtype = SG_F64);
}

static double expected_fusion(const sg_fusion *f, const double *h, const double *z, int nz, int j)
{
    double y = f->b ? element(f->b, j) : 0, sum = 0;
    for (int i = 0; i < HF && f->kind >= SG_FUSE_RESTORED; i++)
        y += h[i] * element(f->wh, i * sg_dim(f->wh, 1) + j);
    for (int i = 0; i < nz && f->kind == SG_FUSE_RESTORED; i++)
        y += z[i] * element(f->wh, (HF + i) * sg_dim(f->wh, 1) + j);
    for (int i = 0; i < nz && f->wz; i++)
        sum += z[i] * element(f->wz, i * sg_dim(f->wz, 1) + j);
    switch (f->kind) {
    case SG_FUSE_ADD:
        return h[j] + sum;
    case SG_FUSE_MEAN:
        return (h[j] + z[j]) / 2;
    case SG_FUSE_CONCAT:
        return j < HF ? h[j] : z[j - HF];
    case SG_FUSE_RESTORED:
        return y;
    default:
        return 1 / (1 + exp(-y - sum));
    }
}

Test(fusion, follows_its_formulas)
{
    for (int kind = SG_FUSE_CONCAT; kind <= SG_FUSE_MLP; kind++)
        for (int way = 0; way < 3; way++) { /* rows; sequences and rows; sequences */
            sg_context *g = sg_open();
            sg_fusion f = make_fusion(g, kind);
            shake(g, 1);
            int nz = kind == SG_FUSE_MEAN ? HF : ZF, steps = way ? T : 1;
            sg_tensor *h = sequences(g, SG_F64, B, T, HF, .flat = !way);
            sg_tensor *z = sequences(g, SG_F64, B, T, nz, .flat = way < 2, .seed = 3);
            sg_tensor *y = sg_fuse(&f, h, z);
            cr_assert(sg_ok(g) && sg_rank(y) == sg_rank(h), "kind %d: %s", kind, sg_errmsg(g));
            int out = (int)sg_dim(y, -1);
            for (int i = 0; i < B * steps; i++)
                for (int j = 0; j < out; j++) {
                    double hs[HF], zs[HF];
                    int row = way == 2 ? i : i / steps;
                    for (int k = 0; k < HF; k++)
                        hs[k] = element(h, i * HF + k);
                    for (int k = 0; k < nz; k++)
                        zs[k] = element(z, row * nz + k);
                    double d = fabs(element(y, i * out + j) - expected_fusion(&f, hs, zs, nz, j));
                    cr_expect(d < 1e-14, "kind %d, way %d: off by %g", kind, way, d);
                }
            check_gradients(y, 2, (sg_tensor *[]){h, z}, named("fusion %d, way %d", kind, way));
            sg_close(g);
        }
}

/* [h; z] W + b = h Wh + z Wz + b: a layer over an unrestored concatenation is the one-layer MLP; a
 * restored one is that without bias and function. */
Test(fusion, unrestored_concat_is_a_one_layer_mlp)
{
    sg_context *g = sg_open();
    sg_fusion mlp = make_fusion(g, SG_FUSE_MLP), concat = {SG_FUSE_CONCAT};
    shake(g, 1);
    sg_tensor *h = sequences(g, SG_F64, B, T, HF), *z = sequences(g, SG_F64, B, T, ZF, .seed = 3);
    sg_affine layer = {sg_concat(0, mlp.wh, mlp.wz), mlp.b};
    sg_tensor *y = sg_activate(sg_apply(layer, sg_fuse(&concat, h, z)), SG_SIGMOID);
    double d = distance(y, sg_fuse(&mlp, h, z));
    cr_expect(d < 1e-15, "off by %g", d);
    sg_fusion linear = {SG_FUSE_MLP, SG_IDENTITY, HF, ZF};
    sg_fusion restored = {SG_FUSE_RESTORED, .wh = sequences(g, SG_F64, 5, .size = 3, .flat = true)};
    linear.wh = sg_slice(restored.wh, 0, 0, HF, 1);
    linear.wz = sg_slice(restored.wh, 0, HF, SG_END, 1);
    linear.b = sg_full(g, SG_F64, SG_SHAPE(3), 0);
    d = distance(sg_fuse(&linear, h, z), sg_fuse(&restored, h, z));
    cr_expect(d < 1e-15, "off by %g", d);
    sg_close(g);
}

/* A row of the identity times a table is that row. */
Test(fusion, one_hot_times_a_table_is_a_row)
{
    sg_context *g = sg_open();
    sg_tensor *table = sg_embedding(g, "table", 7, 4, .dtype = SG_F64);
    sg_tensor *ids = sg_input(g, SG_I32, SG_SHAPE(2, 3), (int32_t[]){0, 6, 3, 3, 1, 5});
    same_bits(sg_matmul(sg_one_hot(ids, 7, SG_F64), table), sg_take(table, ids), "rows");
    sg_tied("out", table);
    shake(g, 1);
    sg_affine out = sg_tied("out", table);
    sg_tensor *h = sequences(g, SG_F64, 2, 3, 4), *y = sg_apply(out, h);
    cr_expect(sg_dim(y, 2) == 7);
    double sum = element(out.b, 2);
    for (int i = 0; i < 4; i++)
        sum += element(h, i) * element(table, 2 * 4 + i);
    cr_expect(fabs(sum - element(y, 2)) < 1e-15);
    check_gradients(sg_mul(y, sg_sum(sg_take(table, ids), 2, true)), 1, &h, "tied");
    sg_close(g);
}
