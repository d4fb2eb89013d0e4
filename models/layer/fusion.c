/* Ways to join extra information z to h. */
#include "models/internal.h"

sg_fusion sg_make_fusion_(sg_fusion_options o)
{
    sg_context *g = o.g;
    int out = o.out ? o.out : o.h;
    sg_fusion f = {o.kind, o.activation, o.h, o.z};
    sg_push(g, "fusion", o.name);
    sg__need_name(g, o.name);
    bool alike = (o.kind == SG_FUSE_ADD && !o.project) || o.kind == SG_FUSE_MEAN;
    if ((unsigned)o.kind > SG_FUSE_MLP)
        sg_fail(g, SG_BAD_ARGUMENT, "no such kind (%d)", (int)o.kind);
    if (o.h <= 0 || o.z <= 0 || out <= 0)
        sg_fail(g, SG_BAD_ARGUMENT, "h of %d and z of %d features", o.h, o.z);
    if (alike && o.h != o.z)
        sg_fail(g, SG_BAD_SHAPE, "h has %d features, z %d: they do not add", o.h, o.z);
    if (o.out && o.kind != SG_FUSE_MLP)
        sg_fail(g, SG_BAD_ARGUMENT, "only an MLP has a size of its own, not kind %d", (int)o.kind);
    if ((o.activation && o.kind != SG_FUSE_MLP) || (o.project && o.kind != SG_FUSE_ADD))
        sg_fail(g, SG_BAD_ARGUMENT, "%s is an option of another kind than %d",
                o.project ? "project" : "activation", (int)o.kind);
    if (o.kind == SG_FUSE_ADD && o.project)
        f.wz = sg_param(g, "wz", SG_SHAPE(o.z, o.h), .dtype = o.dtype);
    if (o.kind == SG_FUSE_RESTORED)
        f.wh = sg_param(g, "wc", SG_SHAPE((int64_t)o.h + o.z, o.h), .dtype = o.dtype);
    if (o.kind == SG_FUSE_MLP) {
        f.wh = sg_param(g, "wh", SG_SHAPE(o.h, out), .dtype = o.dtype);
        f.wz = sg_param(g, "wz", SG_SHAPE(o.z, out), .dtype = o.dtype);
        f.b = sg_param(g, "b", SG_SHAPE(out), SG_ZEROS, .dtype = o.dtype);
    }
    sg_pop(g);
    return f;
}

/* ---- a line for each kind ------------------------------------------------------------------- */

static sg_tensor *add(const sg_fusion *f, sg_tensor *h, sg_tensor *z)
{
    return sg_add(h, f->wz ? sg_matmul(z, f->wz) : z);
}

static sg_tensor *mean(const sg_fusion *f, sg_tensor *h, sg_tensor *z)
{
    (void)f;
    return sg_mul(sg_add(h, z), sg_like(h, 0.5));
}

/* [h; z], and [h; z] Wc: z [B,1,z] is the same at all steps */
static sg_tensor *concat(const sg_fusion *f, sg_tensor *h, sg_tensor *z)
{
    sg_shape every = sg_shape_of(h);
    if (every.rank > 0)
        every.dim[every.rank - 1] = sg_dim(z, -1);
    sg_tensor *both = sg_concat(-1, h, sg_broadcast_to(z, every));
    return f->wh ? sg_matmul(both, f->wh) : both;
}

/* f(h Wh + z Wz + b) */
static sg_tensor *mlp(const sg_fusion *f, sg_tensor *h, sg_tensor *z)
{
    return sg_activate(sg_add(sg_add(sg_matmul(h, f->wh), sg_matmul(z, f->wz)), f->b), f->f);
}

static bool good(const sg_fusion *f, sg_tensor *h, sg_tensor *z)
{
    sg_context *g = sg_context_of(h);
    if (!sg_ok(g) || sg_is_nil(h) || sg_is_nil(z))
        return false;
    if (!f)
        return sg_fail(g, SG_BAD_ARGUMENT, "no parameters") == NULL;
    int m = sg_rank(h), n = sg_rank(z);
    bool made = f->wh && (f->kind == SG_FUSE_RESTORED || (f->wz && f->b));
    bool rows = m >= 2 && m <= 3 && n >= 2 && n <= m && sg_dim(h, 0) == sg_dim(z, 0);
    if ((unsigned)f->kind > SG_FUSE_MLP)
        sg_fail(g, SG_BAD_ARGUMENT, "no such kind (%d)", (int)f->kind);
    else if (f->kind >= SG_FUSE_RESTORED && !made)
        sg_fail(g, SG_BAD_ARGUMENT, "kind %d has parameters: sg_make_fusion", (int)f->kind);
    else if (!rows || (n == 3 && sg_dim(z, 1) != sg_dim(h, 1)))
        sg_fail(g, SG_BAD_SHAPE,
                "h is [batch, h] or [batch, time, h], z [batch, z] or as h: their axes are %d and "
                "%d, their rows %lld and %lld",
                m, n, (long long)sg_dim(h, 0), (long long)sg_dim(z, 0));
    int64_t nh = sg_dim(h, -1), nz = sg_dim(z, -1);
    if (sg_ok(g) && ((f->h && nh != f->h) || (f->z && nz != f->z)))
        sg_fail(g, SG_BAD_SHAPE, "h has %lld features and z %lld, not %d and %d", (long long)nh,
                (long long)nz, f->h, f->z);
    bool alike = (f->kind == SG_FUSE_ADD && !f->wz) || f->kind == SG_FUSE_MEAN;
    if (sg_ok(g) && alike && nh != nz)
        sg_fail(g, SG_BAD_SHAPE, "h has %lld features, z %lld: they do not add", (long long)nh,
                (long long)nz);
    return sg_ok(g);
}

sg_tensor *sg_fuse(const sg_fusion *f, sg_tensor *h, sg_tensor *z)
{
    static sg_tensor *(*const by_kind[])(const sg_fusion *, sg_tensor *,
                                         sg_tensor *) = {concat, add, mean, concat, mlp};
    sg_context *g = sg_context_of(h);
    sg_push(g, "fusion", "");
    sg_tensor *y = sg__nothing(g);
    if (good(f, h, z))
        y = by_kind[f->kind](f, h, sg_rank(z) < sg_rank(h) ? sg_expand_dims(z, 1) : z);
    sg_pop(g);
    return y;
}
