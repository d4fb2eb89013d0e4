/* What a plan takes and does, in numbers. */
#include "core/plan/plan.h"

double sg__step_flops(const sg__step *s)
{
    sg_call c = {.attr = s->attr, .n = s->n, .in = s->array, .out = s->array[s->n], .parts = 1};
    return s->op && s->op->flops ? s->op->flops(&c) : 0;
}

static void count_step(sg_plan_info *i, const sg__step *s)
{
    i->steps++;
    i->products += s->op && s->op->flops;
    i->programs += s->program != NULL;
    for (int k = 0; s->program && k < s->program->count; k++) {
        i->instructions++;
        i->copies += !s->program->code[k].op && s->program->code[k].n;
    }
}

sg_plan_info sg_plan_infos(int n, sg_tensor *const *x)
{
    sg_plan_info i = {0};
    const sg__plan *p = sg__plan_for(n, x, "sg_plan_infos");
    if (!p)
        return i;
    i.workspace = p->workspace;
    i.own = sg__plan_size(p);
    i.flops = p->flops;
    i.nodes = p->nodes;
    i.checkpoints = (int64_t)p->checkpoints;
    i.recomputed = (int64_t)(p->checkpoints - p->kept);
    for (size_t k = 0; k < p->root_count; k++)
        i.values += p->roots[k].assign ? 0 : p->roots[k].bytes;
    for (size_t k = 0; k < p->step_count; k++)
        count_step(&i, p->steps + k);
    i.meetings = p->split ? (int64_t)p->meetings + 2 : 0;
    return i;
}
