/* Ops that are their operand under another aspect: where gradients stop, a name, a value that
 * outlives the reset, the next value of a parameter. All are views. */
#include "core/internal.h"

bool sg__same_infer(sg_infer *c)
{
    c->shape = sg_shape_of(c->in[0]);
    c->dtype = sg_type(c->in[0]);
    return true;
}

bool sg__same_view(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                   int64_t *stride)
{
    (void)attr;
    *start = 0;
    if (out->rank)
        memcpy(stride, in->stride, (size_t)out->rank * sizeof *stride);
    return true;
}

/* g */
static sg_tensor *same_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return v->g;
}

static const sg_op stop_op = {
    .name = "stop_gradient",
    .args = "x",
    .flags = SG_OP_CONSTANT,
    .arity = 1,
    .dtypes = SG_ALL,
    .infer = sg__same_infer,
    .view = sg__same_view,
};

sg_tensor *sg_stop_gradient(sg_tensor *x)
{
    return sg_record(&stop_op, NULL, 1, &x);
}

enum { NAME = 48 };
typedef struct probe {
    char name[NAME];
} probe;

static const sg_attr probe_attrs[] = {{"name", 'c', offsetof(probe, name)}, {0}};

static const sg_op probe_op = {
    .name = "probe",
    .args = "x",
    .arity = 1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(probe),
    .attrs = probe_attrs,
    .infer = sg__same_infer,
    .view = sg__same_view,
    .vjp = same_vjp,
};

sg_tensor *sg_probe(sg_tensor *x, const char *name)
{
    probe p;
    memset(&p, 0, sizeof p);
    for (size_t i = 0; name && name[i] && i + 1 < NAME; i++)
        p.name[i] = name[i];
    return sg_record(&probe_op, &p, 1, &x);
}

static bool assign_infer(sg_infer *c)
{
    c->shape = sg_shape_of(c->in[0]);
    if (!sg__param_of(c->in[1]))
        return sg_refuse(c, "the target is no parameter or buffer");
    if (c->in[0]->dtype != c->in[1]->dtype) {
        c->status = SG_BAD_DTYPE;
        return sg_refuse(c, "types differ");
    }
    return c->in[0]->dims == c->in[1]->dims || sg_refuse(c, "shapes differ");
}

/* The result is the new value; the parameter is only named. See eval.c for the commit. */
const sg_op sg__assign_op = {
    .name = "assign",
    .args = "value param",
    .flags = SG_OP_CONSTANT | SG_OP_ROOT,
    .arity = 2,
    .dtypes = SG_ALL,
    .infer = assign_infer,
    .view = sg__same_view,
};

sg_tensor *sg_assign(sg_tensor *param, sg_tensor *value)
{
    sg_tensor *x = sg_record(&sg__assign_op, NULL, 2, (sg_tensor *[]){value, param});
    if (sg_is_nil(x))
        return x;
    sg_context *g = x->g;
    if (g->registry->contexts > 1)
        return sg_fail(g, SG_BAD_ARGUMENT, "assign: \"%s\" is shared by several contexts",
                       sg_name(param));
    /* not the node, which has no memory of its own: its value goes where the parameter is */
    return sg__list_add(g, &g->assigns, x) ? value : g->nil;
}

/* ---- keep ---------------------------------------------------------------------------------- */

const sg_op sg__keep_op = {
    .name = "keep",
    .args = "x",
    .arity = 1,
    .dtypes = SG_ALL,
    .infer = sg__same_infer,
    .view = sg__same_view,
    .vjp = same_vjp,
};

static sg_tensor *new_kept(sg_context *g)
{
    sg_tensor *k = g->dead;
    if (g->dead_count < SG__DEAD)
        return sg__alloc(&g->lasting, sizeof *k + sizeof k->in[0]);
    g->dead = k->in[0];
    if (--g->dead_count == 0)
        g->last_dead = NULL;
    return k;
}

/* The node lies where the next reset does not reach: see carry() in context.c. */
sg_tensor *sg_keep(sg_tensor *x)
{
    sg_tensor *nil;
    sg_context *g = sg__together(1, &x, "sg_keep", &nil);
    if (!g)
        return nil;
    sg_tensor *k = new_kept(g);
    if (!k) {
        sg__no_memory(g, "a kept tensor");
        return g->nil;
    }
    *k = (sg_tensor){.g = g,
                     .op = &sg__keep_op,
                     .dims = x->dims,
                     .scope = g->scope,
                     .generation = g->generation,
                     .serial = g->serial++,
                     .n = 1,
                     .dtype = x->dtype};
    k->in[0] = x;
    return sg__list_add(g, &g->keeps, k) ? k : g->nil;
}
