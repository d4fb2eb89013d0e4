/*
 * A group of steps by element may have parts that have nothing to do with each other: the last step
 * of one recurrence and the first of another one over as many units stand side by side, and go over
 * the same axes. As one program they would tie two chains together that different threads can take.
 * So each part is a program of its own, where threads cannot share its rows.
 */
#include "core/plan/fuse.h"

/* One value for all elements, that others may look at, too. */
static bool is_constant(const sg__seen *t, const sg__axes *over)
{
    bool same = t->first_write < 0;
    for (int i = 0; i < over->rank; i++)
        same = same && t->stride[i] == 0;
    return same;
}

static int part_of(const int *parent, int i)
{
    while (parent[i] != i)
        i = parent[i];
    return i;
}

static void tie(int *parent, int a, int b)
{
    a = part_of(parent, a);
    b = part_of(parent, b);
    parent[a > b ? a : b] = a > b ? b : a;
}

/* Arrays are of one part if an instruction has both; the first of them tells which part that is.
 * Copies that are of no other part are one. */
static void find_parts(const sg__group *gr, int *parent)
{
    int members[SG__TRACKS] = {0}, copies = -1;
    for (int i = 0; i < gr->arrays; i++)
        parent[i] = i;
    for (int c = 0; c < gr->members; c++)
        for (int k = 0; k < gr->code[c].n; k++)
            if (!is_constant(&gr->track[gr->code[c].in[k]], &gr->over))
                tie(parent, gr->code[c].in[k], gr->code[c].out);
    for (int c = 0; c < gr->members; c++)
        members[part_of(parent, gr->code[c].out)]++;
    for (int c = 0; c < gr->members; c++) {
        const int part = part_of(parent, gr->code[c].out);
        if (gr->code[c].op || members[part] > 1)
            continue;
        if (copies >= 0)
            tie(parent, copies, part);
        copies = part;
    }
}

/* What a part has of the group */
static void take_part(const sg__group *gr, const int *parent, int root, sg__group *part)
{
    int16_t number[SG__TRACKS];
    memset(number, 0xFF, sizeof number);
    part->over = gr->over;
    part->members = part->arrays = 0;
    for (int c = 0; c < gr->members; c++) {
        if (part_of(parent, gr->code[c].out) != root)
            continue;
        sg__instruction *x = &part->code[part->members];
        *x = gr->code[c];
        for (int k = 0; k <= x->n; k++) {
            int16_t *i = k < x->n ? &x->in[k] : &x->out;
            if (number[*i] < 0) {
                number[*i] = (int16_t)part->arrays++;
                sg__seen *t = &part->track[number[*i]];
                *t = gr->track[*i];
                t->first_write = t->last_use = -1;
            }
            *i = number[*i];
            sg__seen *t = &part->track[*i];
            t->first_write = k == x->n && t->first_write < 0 ? part->members : t->first_write;
            t->last_use = part->members;
        }
        part->node[part->members++] = gr->node[c];
    }
}

bool sg__make_programs(sg_context *g, sg__plan *p, const uint32_t *accesses, sg__group *gr,
                       size_t *count)
{
    int parent[SG__TRACKS];
    bool apart = false;
    if (sg__is_thin(g, &gr->track[gr->code[0].out].array)) {
        find_parts(gr, parent);
        for (int c = 1; c < gr->members; c++)
            apart = apart || part_of(parent, gr->code[c].out) != part_of(parent, gr->code[0].out);
    }
    if (!apart)
        return sg__make_program(g, p, accesses, gr, p->steps + (*count)++);
    sg__group part;
    for (int i = 0; i < gr->arrays; i++) {
        if (parent[i] != i)
            continue;
        take_part(gr, parent, i, &part);
        if (part.members && !sg__make_program(g, p, accesses, &part, p->steps + (*count)++))
            return false;
    }
    return true;
}
