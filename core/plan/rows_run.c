/* Running a row program: its instructions, for one tile after the other. */
#include "core/array.h"
#include "core/plan/plan.h"

/* n elements, `to_step` and `from_step` elements apart */
static void move(void *to, int64_t to_step, const void *from, int64_t from_step, int64_t n,
                 size_t width)
{
    char *t = to;
    const char *f = from;
    int64_t w = (int64_t)width;
    if (width == 4)
        for (int64_t i = 0; i < n; i++)
            memcpy(t + i * to_step * 4, f + i * from_step * 4, 4);
    else if (width == 8)
        for (int64_t i = 0; i < n; i++)
            memcpy(t + i * to_step * 8, f + i * from_step * 8, 8);
    else
        for (int64_t i = 0; i < n; i++)
            t[i * to_step * w] = f[i * from_step * w];
}

/* `rows` rows of n elements each, of a track or of its tile */
static void move_rows(const sg__track *t, char *tile, char *array, int64_t n, int64_t rows,
                      bool to_tile)
{
    for (int64_t r = 0; r < rows; r++) {
        char *row = array + r * t->row, *part = tile + (size_t)(r * n) * t->width;
        if (to_tile)
            move(part, 1, row, t->inner, n, t->width);
        else
            move(row, t->inner, part, 1, n, t->width);
    }
}

/* One instruction. An operand whose elements are apart is gathered into a tile before it is read, a
 * result spread after it is written. `last`: of a row, or of several. */
static void run_instruction(const sg__program *p, const sg__instruction *x, char *const *array,
                            char *tiles, int64_t n, int64_t rows, bool last)
{
    const void *in[SG__MAP_OPERANDS] = {0};
    for (int k = 0; k < x->n; k++) {
        int i = x->in[k];
        in[k] = i < 0 ? tiles + (size_t)~i * p->register_bytes : array[i];
        if (i >= 0 && p->track[i].tile >= 0) {
            char *tile = tiles + (size_t)p->track[i].tile * p->register_bytes;
            move_rows(p->track + i, tile, array[i], n, rows, true);
            in[k] = tile;
        }
    }
    int tile = x->out < 0 ? ~x->out : p->track[x->out].tile;
    char *to = tile < 0 ? array[x->out] : tiles + (size_t)tile * p->register_bytes, *out = to;
    if (x->dense)
        x->map((size_t)(n * rows), out, in, x->single);
    for (int64_t r = 0; r < rows && !x->dense; r++) {
        if (x->fold)
            x->fold((size_t)n, last ? out : NULL, in[0],
                    tiles + (size_t)x->state * p->register_bytes);
        else
            x->map((size_t)n, out, in, x->single);
        out += x->row[SG__MAP_OPERANDS];
        for (int k = 0; k < x->n; k++)
            in[k] = (const char *)in[k] + x->row[k];
    }
    if (x->out >= 0 && tile >= 0)
        move_rows(p->track + x->out, to, array[x->out], n, rows, false);
}

/* All instructions on a tile. A graph of small nodes is long programs on one short tile each: what
 * these cost is the memory that says what to do. */
static void run_tile(const sg__program *p, char *const *at, char *tiles, int64_t n, int64_t rows,
                     bool last)
{
    if (!p->brief) {
        for (int c = 0; c < p->count; c++)
            run_instruction(p, p->code + c, at, tiles, n, rows, last);
        return;
    }
    for (const sg__brief *x = p->brief, *end = x + p->count; x < end; x++) {
        const void *in[SG__MAP_OPERANDS] = {at[x->in[0]], at[x->in[1]], at[x->in[2]]};
        x->map((size_t)(n * rows), at[x->out], in, x->single);
    }
}

/* From column `from` to column `to` of one row. `at` is changed. */
static void run_row(const sg__program *p, int arrays, char **at, char *tiles, int64_t from,
                    int64_t to)
{
    for (int k = 0; k < arrays && from; k++)
        at[k] += from * p->track[k].inner * (int64_t)p->track[k].width;
    for (int64_t left = to - from; left > 0; left -= p->tile) {
        run_tile(p, at, tiles, left < p->tile ? left : p->tile, 1, left <= p->tile);
        for (int k = 0; k < arrays && left > p->tile; k++)
            at[k] += p->tile * p->track[k].inner * (int64_t)p->track[k].width;
    }
}

/* From row `from` to row `to` of the last outer axis */
static void run_rows(const sg__program *p, int arrays, char *const *array, char *tiles,
                     int64_t from, int64_t to)
{
    char *at[SG__NAMES];
    memcpy(at, array, (size_t)(arrays + (p->brief ? p->registers : 0)) * sizeof *at);
    for (int64_t i = from; i < to; i += p->rows) {
        for (int k = 0; k < arrays && i; k++)
            at[k] = array[k] + i * p->track[k].row;
        if (p->tile < p->n)
            run_row(p, arrays, at, tiles, 0, p->n);
        else
            run_tile(p, at, tiles, p->n, to - i < p->rows ? to - i : p->rows, true);
    }
}

/* From `from` to `to` of the outermost axis */
static void run_loops(const sg__program *p, int arrays, char **at, char *tiles, int64_t from,
                      int64_t to)
{
    int last = p->rank - 1;
    int64_t index[SG_MAX_RANK] = {from};
    if (last == 0) {
        run_rows(p, arrays, at, tiles, from, to);
        return;
    }
    for (int k = 0; k < arrays; k++)
        at[k] += from * p->track[k].step[0];
    for (;;) {
        run_rows(p, arrays, at, tiles, 0, p->dim[last]);
        int i = last - 1;
        for (; i >= 0; i--) {
            for (int k = 0; k < arrays; k++)
                at[k] += p->track[k].step[i];
            if (++index[i] < (i ? p->dim[i] : to))
                break;
            for (int k = 0; k < arrays; k++)
                at[k] -= p->track[k].step[i] * p->dim[i];
            index[i] = 0;
        }
        if (i < 0)
            return;
    }
}

void sg__run_program(const sg__step *s, void *const *bases, char *tiles, int part, int parts)
{
    const sg__program *p = s->program;
    char *at[SG__NAMES];
    int64_t from, to;
    int arrays = s->n + s->m;
    for (int k = 0; k < arrays; k++)
        at[k] = sg__locate(bases, &s->at[k]);
    for (int k = 0; k < p->registers && p->brief; k++)
        at[arrays + k] = tiles + (size_t)k * p->register_bytes;
    for (int c = 0; c < p->count && p->folds; c++)
        if (p->code[c].fold)
            memset(tiles + (size_t)p->code[c].state * p->register_bytes, 0, SG_REDUCTION_STATE);
    const int64_t n = p->rank ? p->dim[0] : p->n;
    sg__share(n, sg__unit(n, sg__program_unit(p), s->pieces), part, parts, &from, &to);
    if (from < to && p->rank)
        run_loops(p, arrays, at, tiles, from, to);
    else if (from < to)
        run_row(p, arrays, at, tiles, from, to);
}

/* Whether all that an instruction does is to call its kernel. */
static bool is_brief(const sg__program *p, const sg__instruction *x)
{
    bool brief =
        (x->dense || p->rows == 1) && !x->fold && (x->out < 0 || p->track[x->out].tile < 0);
    for (int k = 0; k < x->n; k++)
        brief = brief && (x->in[k] < 0 || p->track[x->in[k]].tile < 0);
    return brief;
}

/* What a run reads of programs comes one after the other, in the order of steps: what it waits for
 * is memory. */
bool sg__make_brief(sg__plan *plan, sg__step *s)
{
    int arrays = s->n + s->m;
    sg__program *p = sg__alloc(&plan->arena, sizeof *p);
    sg__place *at = sg__alloc(&plan->arena, (size_t)arrays * sizeof *at);
    if (!p || !at)
        return false;
    s->program = memcpy(p, s->program, sizeof *p);
    s->at = memcpy(at, s->at, (size_t)arrays * sizeof *at);
    bool brief = arrays + p->registers <= SG__NAMES;
    for (int c = 0; c < p->count && brief; c++)
        brief = is_brief(p, p->code + c);
    sg__brief *code = brief ? sg__alloc(&plan->arena, (size_t)p->count * sizeof *code) : NULL;
    for (int c = 0; c < p->count && code; c++) {
        const sg__instruction *x = p->code + c;
        code[c] = (sg__brief){.map = x->map, .single = x->single};
        for (int k = 0; k < x->n; k++)
            code[c].in[k] = (uint8_t)(x->in[k] < 0 ? arrays + ~x->in[k] : x->in[k]);
        code[c].out = (uint8_t)(x->out < 0 ? arrays + ~x->out : x->out);
    }
    p->brief = code;
    return code || !brief;
}
