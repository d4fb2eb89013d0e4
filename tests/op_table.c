/* The rows as one list, and inputs drawn for them. */
#include "tests/op_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const op_row *op_row_at(int i)
{
    static const op_rows *const tables[] = {&op_core_rows, &op_map_rows, &op_move_rows,
                                            &op_reduce_rows};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; i -= tables[t++]->count)
        if (i < tables[t]->count)
            return tables[t]->row + i;
    return NULL;
}

int op_inputs(const op_row *row)
{
    int n = 0;
    while (n < OP_INPUTS && row->in[n].shape.rank > 0)
        n++;
    return n;
}

static int64_t size_of(const sg_shape *s)
{
    int64_t n = 1;
    for (int d = 0; d < s->rank; d++)
        n *= s->dim[d];
    return n;
}

/* splitmix64 (Steele et al. 2014), in [0, 1) */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Numbers of all inputs share one grid of places, an even number of them so that 0 lies between two
 * in a symmetric range. Each takes a place of its own, and stands near the middle of it. */
static void draw_apart(op_sample *s, uint64_t *state)
{
    int place[OP_INPUTS * OP_ELEMENTS], total = 0, next = 0;
    for (int k = 0; k < s->n; k++)
        total += s->row->in[k].kind == OP_FLOAT ? (int)s->size[k] : 0;
    total += total & 1;
    for (int i = 0; i < total; i++) {
        int j = (int)(uniform(state) * (i + 1));
        place[i] = place[j];
        place[j] = i;
    }
    for (int k = 0; k < s->n; k++)
        for (int64_t i = 0; s->row->in[k].kind == OP_FLOAT && i < s->size[k]; i++)
            s->v[k][i] = (place[next++] + 0.4 + 0.2 * uniform(state)) / total;
}

static void draw_plain(op_sample *s, int k, uint64_t *state)
{
    for (int64_t i = 0; i < s->size[k]; i++)
        s->v[k][i] = uniform(state);
    if (s->row->in[k].kind != OP_MASK || s->size[k] == 0)
        return;
    s->v[k][s->size[k] - 1] = 0.75;
    s->v[k][0] = s->size[k] > 1 ? 0.25 : 0.75;
}

void op_draw(op_sample *s, const op_row *row, const sg_shape *shapes, uint64_t seed)
{
    uint64_t state = seed;
    s->row = row;
    s->n = op_inputs(row);
    for (int k = 0; k < s->n; k++) {
        s->in[k] = (op_array){shapes ? shapes[k] : row->in[k].shape, s->v[k]};
        s->size[k] = size_of(&s->in[k].shape);
        if (s->size[k] > OP_ELEMENTS)
            abort(); /* a mistake in the table */
        if (row->in[k].kind != OP_FLOAT || !(row->flags & OP_APART))
            draw_plain(s, k, &state);
    }
    if (row->flags & OP_APART)
        draw_apart(s, &state);
    for (int k = 0; k < s->n; k++) {
        double low = row->in[k].low, high = row->in[k].high;
        if (low == 0 && high == 0)
            low = -2, high = 2;
        for (int64_t i = 0; i < s->size[k]; i++) {
            double v = low + (high - low) * s->v[k][i];
            s->v[k][i] = row->in[k].kind == OP_FLOAT ? (double)(float)v : floor(v);
        }
    }
}

void op_resized(const op_row *row, int64_t from, int64_t to, sg_shape *shapes)
{
    for (int k = 0; k < OP_INPUTS; k++) {
        shapes[k] = row->in[k].shape;
        for (int d = 0; d < shapes[k].rank; d++)
            if (shapes[k].dim[d] == from)
                shapes[k].dim[d] = to;
    }
}

/* ---- tensors -------------------------------------------------------------------------------- */

sg_tensor *op_tensor(sg_context *g, sg_dtype type, sg_shape shape, const double *v)
{
    union {
        float f32[OP_ELEMENTS * 4];
        double f64[OP_ELEMENTS * 4];
        int32_t i32[OP_ELEMENTS * 4];
        uint8_t u8[OP_ELEMENTS * 4];
    } to;
    int64_t n = size_of(&shape);
    if (n > OP_ELEMENTS * 4)
        abort();
    for (int64_t i = 0; i < n; i++)
        switch (type) {
        case SG_F32:
            to.f32[i] = (float)v[i];
            break;
        case SG_F64:
            to.f64[i] = v[i];
            break;
        case SG_I32:
            to.i32[i] = (int32_t)v[i];
            break;
        default:
            to.u8[i] = (uint8_t)v[i];
        }
    return sg_input(g, type, shape, &to);
}

sg_dtype op_type(const op_row *row, int k, sg_dtype type)
{
    static const sg_dtype of[] = {[OP_INDEX] = SG_I32, [OP_MASK] = SG_U8};
    return row->in[k].kind == OP_FLOAT ? type : of[row->in[k].kind];
}

void op_tensors(const op_sample *s, sg_context *g, sg_dtype type, sg_tensor **x)
{
    for (int k = 0; k < s->n; k++)
        x[k] = op_tensor(g, op_type(s->row, k, type), s->in[k].shape, s->v[k]);
}

double op_value(sg_dtype type, const void *data, int64_t i)
{
    switch (type) {
    case SG_F32:
        return (double)((const float *)data)[i];
    case SG_F64:
        return ((const double *)data)[i];
    case SG_I32:
        return ((const int32_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

/* ---- gradients ------------------------------------------------------------------------------ */

/* A tensor like y with numbers in (-1, 1) away from 0. */
sg_tensor *op_covector(sg_tensor *y, uint64_t seed)
{
    double v[OP_ELEMENTS * 4];
    uint64_t state = seed * 2 + 1;
    for (int64_t i = 0; i < sg_size(y) && i < OP_ELEMENTS * 4; i++) {
        double u = 2 * uniform(&state) - 1;
        v[i] = (double)(float)(0.25 * (u < 0 ? -1 : 1) + 0.75 * u);
    }
    return op_tensor(sg_context_of(y), sg_type(y), sg_shape_of(y), v);
}

int op_floats(const op_row *row, sg_tensor *const *x, sg_tensor **floats)
{
    int n = 0;
    for (int k = 0; k < op_inputs(row); k++)
        if (row->in[k].kind == OP_FLOAT)
            floats[n++] = x[k];
    return n;
}

int op_gradients(const op_row *row, sg_tensor *y, sg_tensor *const *x, uint64_t seed,
                 sg_tensor **grads)
{
    sg_tensor *floats[OP_INPUTS];
    int n = op_floats(row, x, floats);
    if (sg_type(y) == SG_I32 || sg_type(y) == SG_U8)
        y = sg_cast(y, sg_type(floats[0]));
    sg_vjp(y, op_covector(y, seed), n, floats, grads);
    return n;
}
