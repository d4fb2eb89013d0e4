/* Looking inside: the tape and the plan as text, the tape for Graphviz. The text depends on the
 * graph alone, so it can be compared between compilers and over time. */
#include "core/plan/plan.h"

/* ---- the tape ------------------------------------------------------------------------------- */

static void print_attr(FILE *f, const sg_attr *a, const void *attr)
{
    const char *p = (const char *)attr + a->offset;
    char text[SG_SHAPE_TEXT];
    fprintf(f, " %s=", a->name);
    switch (a->type) {
    case 'i':
        fprintf(f, "%lld", (long long)*(const int64_t *)(const void *)p);
        break;
    case 'u':
        fprintf(f, "%llu", (unsigned long long)*(const uint64_t *)(const void *)p);
        break;
    case 'd':
        fprintf(f, "%g", *(const double *)(const void *)p);
        break;
    case 'b':
        fputs(*(const bool *)(const void *)p ? "yes" : "no", f);
        break;
    case 's':
        fputs(sg__shape_text(text, (const sg_shape *)(const void *)p), f);
        break;
    default:
        fputs(p, f);
    }
}

static void print_node(FILE *f, const sg_tensor *x)
{
    char text[SG_SHAPE_TEXT], scope[SG_MESSAGE];
    fprintf(f, "%%%u = %s", x->index, x->op->name);
    if (sg__param_of(x))
        fprintf(f, " \"%s\"", sg_name(x));
    for (uint32_t i = 0; i < x->n; i++)
        fprintf(f, "%s%%%u", i ? ", " : " ", x->in[i]->index);
    for (const sg_attr *a = x->op->attrs; a && a->name; a++)
        print_attr(f, a, x->attr);
    sg__scope_text(scope, sizeof scope, x->scope);
    fprintf(f, " : %s%s%s%s\n", sg_dtype_name(sg_type(x)), sg__shape_text(text, &x->dims->shape),
            *scope ? "  # " : "", scope);
}

static bool walk(int n, sg_tensor *const *x, const char *what, sg__extent extent)
{
    sg_tensor *nil;
    sg_context *g = sg__together(n, x, what, &nil);
    return g && sg__walk(g, n, x, extent);
}

void sg_dump(FILE *f, int n, sg_tensor *const *x)
{
    if (walk(n, x, "sg_dump", SG__EVERYTHING))
        for (size_t i = 0; i < x[0]->g->order.n; i++)
            print_node(f, x[0]->g->order.x[i]);
}

void sg_dump_dot(FILE *f, int n, sg_tensor *const *x)
{
    char text[SG_SHAPE_TEXT];
    if (!walk(n, x, "sg_dump_dot", SG__EVERYTHING))
        return;
    const sg__list *order = &x[0]->g->order;
    fputs("digraph tape {\n    node [shape=box, fontname=\"monospace\"];\n", f);
    for (size_t i = 0; i < order->n; i++) {
        const sg_tensor *t = order->x[i];
        bool leaf = t->n == 0;
        fprintf(f, "    n%u [label=\"%s\\n%s%s\"%s];\n", t->index,
                sg__param_of(t) ? sg_name(t) : t->op->name, sg_dtype_name(sg_type(t)),
                sg__shape_text(text, &t->dims->shape),
                leaf ? ", style=filled, fillcolor=\"#e8eef7\"" : "");
        for (uint32_t k = 0; k < t->n; k++)
            fprintf(f, "    n%u -> n%u;\n", t->in[k]->index, t->index);
    }
    fputs("}\n", f);
}

/* ---- the plan ------------------------------------------------------------------------------- */

static void print_place(FILE *f, const sg__plan *p, const sg__place *at)
{
    if (at->base == 0)
        fprintf(f, "@%lld", (long long)at->offset);
    else if (at->base <= p->leaves)
        fprintf(f, "leaf%u+%lld", at->base - 1, (long long)at->offset);
    else
        fprintf(f, "root%u+%lld", at->base - 1 - p->leaves, (long long)at->offset);
}

static void print_array(FILE *f, const sg__plan *p, const sg__place *at, const sg_array *a)
{
    print_place(f, p, at);
    fprintf(f, " %s[", sg_dtype_name(a->dtype));
    for (int i = 0; i < a->rank; i++)
        fprintf(f, "%s%lld", i ? "," : "", (long long)a->dim[i]);
    fputc(']', f);
    if (sg__contiguous(a))
        return;
    fputs(" by ", f);
    for (int i = 0; i < a->rank; i++)
        fprintf(f, "%s%lld", i ? "," : "", (long long)a->stride[i]);
}

static void print_operand(FILE *f, int i)
{
    fprintf(f, i < 0 ? "r%d" : "a%d", i < 0 ? ~i : i);
}

static void print_program(FILE *f, const sg__program *p)
{
    for (int i = 0; i < p->count; i++) {
        const sg__instruction *x = p->code + i;
        fputs("           ", f);
        print_operand(f, x->out);
        fprintf(f, " = %s", x->op ? x->op->name : x->n ? "copy" : "zero");
        for (int k = 0; k < x->n; k++) {
            fputs(k ? ", " : " ", f);
            print_operand(f, x->in[k]);
        }
        fputc('\n', f);
    }
}

static void print_step(FILE *f, const sg__plan *p, const sg__step *s)
{
    const sg__program *q = s->program;
    if (q) {
        fprintf(f, "program over ");
        for (int i = 0; i < q->rank; i++)
            fprintf(f, "%lld x ", (long long)q->dim[i]);
        fprintf(f, "%lld:", (long long)q->n);
    } else {
        fprintf(f, "%-12s", s->op->name);
    }
    for (int k = 0; k < s->n + s->m; k++) {
        fputs(k == s->n ? " -> " : k ? ", " : " ", f);
        bool stands = s->standing && s->standing->operand == k;
        print_array(f, p, &s->at[k], stands ? &s->standing->lies : &s->array[k]);
    }
    fputc('\n', f);
    if (q)
        print_program(f, q);
}

/* Who does a step: all, a part each, or one. */
static void print_threads(FILE *f, const sg__step *s)
{
    if (s->split)
        fputs("all  ", f);
    else
        fprintf(f, "%-3u  ", s->owner);
}

void sg__plan_print(FILE *f, const sg__plan *p)
{
    fprintf(f, "plan: %u nodes, %u leaves, %zu steps, %zu bytes of workspace", p->nodes, p->leaves,
            p->step_count, p->workspace);
    if (p->split)
        fprintf(f, ", threads meet %zu times", p->meetings);
    fputc('\n', f);
    for (size_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].meets)
            fputs("       threads meet\n", f);
        fprintf(f, "%5zu  ", i);
        if (p->split)
            print_threads(f, p->steps + i);
        print_step(f, p, p->steps + i);
    }
    for (size_t i = 0; i < p->root_count; i++) {
        fprintf(f, "%s of node %u in ", p->roots[i].assign ? "assigned value" : "value",
                p->roots[i].node);
        print_place(f, p, &p->roots[i].place);
        fputc('\n', f);
    }
}

void sg_dump_plan(FILE *f, int n, sg_tensor *const *x)
{
    const sg__plan *p = f ? sg__plan_for(n, x, "sg_dump_plan") : NULL;
    if (p)
        sg__plan_print(f, p);
    else if (f && x && n > 0 && !sg_is_nil(x[0]) && !x[0]->g->status)
        fputs("plan: nothing to compute\n", f);
}
