/* What tests driven by the table share: contexts, names of cases, results and gradients as values.
 */
#ifndef OP_VALUES_H
#define OP_VALUES_H

#include "tests/op_table.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { VALUES = OP_ELEMENTS * 4 };

enum { SETS = 3 };
static const char *const sets[SETS] = {"generic", "avx2", "avx512"};

/* One of all rows, on one of the instruction sets of this CPU, in one floating-point type. */
typedef struct test_case {
    const op_row *row;
    const char *isa;
    sg_dtype type;
    int i;         /* of the row */
    char name[96]; /* "softmax, masked (f32, avx2)" */
} test_case;

static inline bool cpu_has(const char *isa)
{
    sg_context *g = sg_open(.isa = isa);
    bool ok = sg_ok(g);
    sg_close(g);
    return ok;
}

/* The next case: for (test_case c = {0}; next_case(&c, 0);). Rows with any flag of `but` are
 * passed over. */
static inline bool next_case(test_case *c, unsigned but)
{
    size_t set = 0;
    if (c->row && c->type == SG_F32) {
        c->type = SG_F64;
    } else {
        while (c->row && sets[set] != c->isa)
            set++;
        set += c->row != NULL;
        while (set < SETS && !cpu_has(sets[set]))
            set++;
        if (!c->row || set == SETS) {
            c->i += c->row != NULL;
            while ((c->row = op_row_at(c->i)) && c->row->flags & but)
                c->i++;
            set = 0;
        }
        c->isa = sets[set];
        c->type = SG_F32;
    }
    if (c->row)
        snprintf(c->name, sizeof c->name, "%s%s%s (%s, %s)", c->row->op, c->row->form ? ", " : "",
                 c->row->form ? c->row->form : "", sg_dtype_name(c->type), c->isa);
    return c->row != NULL;
}

/* A result and its gradients, as values. */
typedef struct values {
    int n;
    int64_t size[1 + OP_INPUTS];
    double v[1 + OP_INPUTS][VALUES];
} values;

static inline void take(values *to, int n, sg_tensor *const *x, const char *name)
{
    to->n = n;
    for (int k = 0; k < n; k++) {
        const void *data = sg_data(x[k]);
        cr_assert(data, "%s: %s", name, sg_errmsg(sg_context_of(x[k])));
        to->size[k] = sg_size(x[k]);
        cr_assert_leq(to->size[k], VALUES);
        for (int64_t i = 0; i < to->size[k]; i++)
            to->v[k][i] = op_value(sg_type(x[k]), data, i);
    }
}

/* y and its gradients, computed by one plan or, apart, by one each, the last first. */
static inline void compute(values *to, const op_row *row, sg_context *g, sg_tensor *const *x,
                           bool apart, const char *name)
{
    sg_tensor *all[1 + OP_INPUTS];
    all[0] = row->build(g, x);
    int n = 1 + op_gradients(row, all[0], x, 7, all + 1);
    cr_assert(sg_ok(g), "%s: %s", name, sg_errmsg(g));
    if (!apart)
        sg_eval_(n, all);
    for (int k = n; k-- > 0;)
        sg_eval(all[k]);
    take(to, n, all, name);
}

static inline void compute_sample(values *to, const op_sample *s, sg_context *g, sg_dtype type,
                                  const char *name)
{
    sg_tensor *x[OP_INPUTS];
    op_tensors(s, g, type, x);
    compute(to, s->row, g, x, false, name);
}

static inline void same_bits(const values *a, const values *b, const char *name, const char *what)
{
    cr_assert_eq(a->n, b->n);
    for (int k = 0; k < a->n; k++) {
        cr_assert_eq(a->size[k], b->size[k], "%s: %s: another size", name, what);
        for (int64_t i = 0; i < a->size[k]; i++)
            cr_assert(memcmp(&a->v[k][i], &b->v[k][i], sizeof(double)) == 0,
                      "%s: %s: element %d of %s %d is %.17g, not %.17g", name, what, (int)i,
                      k ? "gradient" : "result", k, b->v[k][i], a->v[k][i]);
    }
}

static inline void near(const values *a, const values *b, double tolerance, const char *name,
                        const char *what)
{
    cr_assert_eq(a->n, b->n);
    for (int k = 0; k < a->n; k++)
        for (int64_t i = 0; i < a->size[k]; i++)
            cr_assert(fabs(a->v[k][i] - b->v[k][i]) <= tolerance * fmax(1, fabs(a->v[k][i])),
                      "%s: %s: element %d of %s %d is %.17g, not %.17g", name, what, (int)i,
                      k ? "gradient" : "result", k, b->v[k][i], a->v[k][i]);
}

#endif
