/*
 * matmul: products of matrices, over leading axes that broadcast. Operands are read by their
 * strides, so a transpose costs nothing. A product whose right operand is one matrix for all rows
 * is one gemm over all of them, and so is its gradient by that matrix: K = batch * time.
 */
#include "ops/kernel/gemm.h"
#include "ops/ops_internal.h"

static bool inner_agree(const sg_shape *x, const sg_shape *y)
{
    return x->rank && y->rank && x->dim[x->rank - 1] == y->dim[y->rank == 1 ? 0 : y->rank - 2];
}

static bool matmul_infer(sg_infer *c)
{
    sg_shape x = sg_shape_of(c->in[0]), y = sg_shape_of(c->in[1]);
    if (sg_type(c->in[0]) != sg_type(c->in[1])) {
        c->status = SG_BAD_DTYPE;
        return sg_refuse(c, "operands of different types");
    }
    if (x.rank == 0 || y.rank == 0)
        return sg_refuse(c, "operands need at least one axis");
    if (!inner_agree(&x, &y))
        return sg_refuse(c, "inner dimensions differ");
    int rank = x.rank > y.rank ? x.rank : y.rank;
    c->shape = (sg_shape){.rank = rank};
    for (int i = 3; i <= rank; i++) {
        int64_t a = i <= x.rank ? x.dim[x.rank - i] : 1, b = i <= y.rank ? y.dim[y.rank - i] : 1;
        if (a != b && a != 1 && b != 1)
            return sg_refuse(c, "leading dimensions do not broadcast");
        c->shape.dim[rank - i] = a == 1 ? b : a;
    }
    c->shape.dim[rank - 2] = x.dim[x.rank - 2];
    c->shape.dim[rank - 1] = y.dim[y.rank - 1];
    return true;
}

/* Where the right operand is packed, or may be: the matrix that it was. */
typedef struct packed {
    int64_t dim[2], stride[2], panel;
    int64_t by_columns; /* whether threads share its columns rather than rows */
} packed;

static bool is_packed(const sg_call *c)
{
    return c->attr && c->in[1].rank == 3;
}

static sg_array right_of(const sg_call *c)
{
    const packed *p = c->attr;
    return is_packed(c) ? (sg_array){c->in[1].data, p->dim, p->stride, c->in[1].dtype, 2}
                        : c->in[1];
}

/* The product of one pair of matrices, without pointers. */
static sg__gemm_call one(const sg_call *c, const sg_array *y)
{
    const sg_array *x = &c->in[0], *z = &c->out;
    return (sg__gemm_call){.dtype = z->dtype,
                           .isa = c->isa,
                           .m = x->dim[x->rank - 2],
                           .n = y->dim[y->rank - 1],
                           .k = x->dim[x->rank - 1],
                           .a_row = x->stride[x->rank - 2],
                           .a_col = x->stride[x->rank - 1],
                           .b_row = y->stride[y->rank - 2],
                           .b_col = y->stride[y->rank - 1],
                           .b_panel = is_packed(c) ? ((const packed *)c->attr)->panel : 0,
                           .c_row = z->stride[z->rank - 2],
                           .c_col = z->stride[z->rank - 1]};
}

/* Leading axes that continue the rows of x and of the result, while y has one matrix for them, are
 * taken as rows: how many leading axes remain to loop over. */
static int join_rows(const sg_call *c, const sg_array *y, sg__gemm_call *p)
{
    const sg_array *x = &c->in[0], *z = &c->out;
    int left = z->rank - 2;
    for (; left > 0; left--) {
        int xi = left - 1 - (z->rank - x->rank), yi = left - 1 - (z->rank - y->rank);
        int64_t size = z->dim[left - 1];
        if (size == 1)
            continue;
        bool one_y = yi < 0 || y->dim[yi] == 1;
        bool rows_x =
            xi >= 0 && x->dim[xi] == size && (p->m == 1 || x->stride[xi] == p->m * p->a_row);
        bool rows_z = p->m == 1 || z->stride[left - 1] == p->m * p->c_row;
        if (!one_y || !rows_x || !rows_z)
            break;
        if (p->m == 1) {
            p->a_row = x->stride[xi];
            p->c_row = z->stride[left - 1];
        }
        p->m *= size;
    }
    return left;
}

static size_t matmul_scratch(const sg_call *c)
{
    const sg_array y = right_of(c);
    sg__gemm_call p = one(c, &y);
    join_rows(c, &y, &p);
    return sg__gemm_scratch(&p);
}

static int64_t leading_step(const sg_array *a, int rank, int axis)
{
    int i = axis - (rank - a->rank);
    return i < 0 || a->dim[i] == 1 ? 0 : a->stride[i];
}

enum { COLUMNS = 64 }; /* a cache line or more */

/* Rows are shared, or columns where there are few rows. */
static bool by_rows(const sg_call *c, const sg__gemm_call *p)
{
    if (c->attr && ((const packed *)c->attr)->by_columns)
        return false;
    return p->m >= 4 * c->parts || p->m >= p->n;
}

/* Of one product, rows or columns; of many, some of those along the first axis. */
static sg_shares matmul_shares(const sg_call *c)
{
    const sg_array y = right_of(c);
    sg__gemm_call p = one(c, &y);
    if (join_rows(c, &y, &p)) {
        sg_shares s = {.n = c->out.dim[0], .unit = 1};
        for (unsigned k = 0; k < 2; k++) {
            const sg_array *a = k ? &y : &c->in[0];
            if (a->rank == c->out.rank && a->dim[0] == s.n)
                s.alike |= 1u << k;
        }
        return s;
    }
    if (by_rows(c, &p))
        return (sg_shares){.n = p.m, .unit = 1, .alike = 1};
    return (sg_shares){.n = p.n, .unit = COLUMNS, .columns = true, .alike = 2};
}

/* One part of a product */
static void multiply(const sg_call *c, sg__gemm_call p)
{
    const int64_t width = p.dtype == SG_F32 ? 4 : 8;
    int64_t from, to;
    if (by_rows(c, &p)) {
        sg__my_share(c, p.m, 1, &from, &to);
        p.a = (const char *)p.a + from * p.a_row * width;
        p.c = (char *)p.c + from * p.c_row * width;
        p.m = to - from;
    } else {
        sg__my_share(c, p.n, COLUMNS, &from, &to);
        p.b = sg__gemm_columns(&p, from);
        p.c = (char *)p.c + from * p.c_col * width;
        p.n = to - from;
    }
    sg__gemm(&p);
}

/* One product is split; of many, each part takes some of those along the first axis. */
static bool matmul_run(const sg_call *c)
{
    const sg_array *x = &c->in[0], right = right_of(c), *y = &right, *z = &c->out;
    sg__gemm_call p = one(c, y);
    int left = join_rows(c, y, &p);
    int64_t width = z->dtype == SG_F32 ? 4 : 8, index[SG_MAX_RANK] = {0}, end = 0;
    const char *a = x->data, *b = y->data;
    char *out = z->data;
    p.scratch = c->scratch;
    for (int i = 0; i < z->rank; i++)
        if (z->dim[i] == 0)
            return true;
    if (left) {
        sg__my_share(c, z->dim[0], 1, &index[0], &end);
        a += leading_step(x, z->rank, 0) * width * index[0];
        b += leading_step(y, z->rank, 0) * width * index[0];
        out += z->stride[0] * width * index[0];
    }
    while (!left || index[0] < end) {
        p.a = a;
        p.b = b;
        p.c = out;
        if (!left) {
            multiply(c, p);
            return true;
        }
        sg__gemm(&p);
        for (int i = left - 1; i >= 0; i--) {
            int64_t xs = leading_step(x, z->rank, i), ys = leading_step(y, z->rank, i);
            a += xs * width;
            b += ys * width;
            out += z->stride[i] * width;
            if (++index[i] < z->dim[i] || i == 0)
                break;
            a -= xs * width * z->dim[i];
            b -= ys * width * z->dim[i];
            out -= z->stride[i] * width * z->dim[i];
            index[i] = 0;
        }
    }
    return true;
}

/* All rows of a tensor as one matrix. */
static sg_tensor *as_rows(sg_tensor *x)
{
    return sg_rank(x) == 2 ? x : sg_reshape(x, SG_SHAPE(sg_size(x) / sg_dim(x, -1), sg_dim(x, -1)));
}

/* by x: g yᵀ;  by y: xᵀ g, over all rows at once where y is one matrix */
static sg_tensor *matmul_vjp(const sg_vjp_call *v, int i)
{
    sg_tensor *x = v->in[0], *y = v->in[1];
    if (i == 0)
        return sg_matmul(v->g, sg_transpose(y, -2, -1));
    bool rows = sg_rank(y) == 2 && sg_size(x) > 0 && sg_size(v->g) > 0;
    return rows ? sg_matmul(sg_transpose(as_rows(x), 0, 1), as_rows(v->g))
                : sg_matmul(sg_transpose(x, -2, -1), v->g);
}

/* sum(x_t y_t) = [x_1 x_2 …] [y_1; y_2; …], which is faster unless the axis is long anyway; and
 * operands that are joined must all be there at once. */
enum { LONG = 1024 };

static bool matmul_joint(const void *attr, const sg_shape *in, const sg_shape *out, sg_joint *j)
{
    (void)attr;
    for (int k = 0; k < 2; k++) {
        if (in[k].rank != out->rank)
            return false;
        for (int i = 0; i < out->rank - 2; i++)
            if (in[k].dim[i] != out->dim[i])
                return false;
        j->shape[k] = in[k];
        j->axis[k] = out->rank - 1 - k;
    }
    j->in_turn = true;
    return in[0].dim[out->rank - 1] < LONG;
}

static double matmul_flops(const sg_call *c)
{
    return 2.0 * (double)sg__elements(&c->out) * (double)c->in[0].dim[c->in[0].rank - 1];
}

/* Rows of x times one matrix; or pairs of matrices. */
static bool matmul_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    const sg_shape *x = in[0], *y = in[1];
    if (y->rank == 2) {
        r->leading = out->rank - 1;
        r->shared = 2;
        r->gains = true;
        return true;
    }
    for (int i = 0; i < out->rank - 2; i++)
        if (x->rank != y->rank || x->dim[i] != y->dim[i])
            return false;
    r->leading = out->rank - 2;
    return true;
}

/* ---- a right operand of several products, packed once ---------------------------------------- */

static bool pack_run(const sg_call *c)
{
    const sg_array *y = &c->in[0];
    const sg__gemm_call p = {.dtype = y->dtype,
                             .isa = c->isa,
                             .n = y->dim[1],
                             .k = y->dim[0],
                             .b = y->data,
                             .b_row = y->stride[0],
                             .b_col = y->stride[1]};
    int64_t from, to;
    sg__my_share(c, c->out.dim[0], 1, &from, &to);
    sg__gemm_pack(&p, from, to, c->out.data);
    return true;
}

static sg_shares pack_shares(const sg_call *c)
{
    return (sg_shares){.n = c->out.dim[0], .unit = 1};
}

/* [k, n] to panels of columns, [n / width, k, width] */
static const sg_op pack_op = {
    .name = "pack",
    .args = "y",
    .flags = SG_OP_STRIDED | SG_OP_SPLIT | SG_OP_SURE,
    .arity = 1,
    .run = pack_run,
    .shares = pack_shares,
};

static const sg_op matmul_packed_op = {
    .name = "matmul_packed",
    .args = "x y",
    .flags = SG_OP_STRIDED | SG_OP_SPLIT | SG_OP_SURE,
    .arity = 2,
    .attr_size = sizeof(packed),
    .run = matmul_run,
    .shares = matmul_shares,
    .scratch = matmul_scratch,
    .flops = matmul_flops,
};

/* Of a matrix that no near cache holds from one evaluation to the next, so many elements or more:
 * for up to so many rows it is better read once, a part by each thread, than once by each. */
enum { FAR = 1 << 18, FEW_ROWS = 64 };

static bool worth_packing(const sg_call *c, int64_t readers, sg_shape *shape, void *attr)
{
    const sg_array *y = &c->in[1];
    sg__gemm_call p = one(c, y);
    const int64_t width = sg__gemm_width(p.dtype, p.isa);
    if (y->rank != 2)
        return false;
    join_rows(c, y, &p);
    const bool by_columns = readers == SG_EVER && p.m <= FEW_ROWS && p.m < p.n && p.k * p.n >= FAR;
    if (by_rows(c, &p) && !by_columns)
        p.m = (p.m + c->parts - 1) / c->parts;
    if (!sg__gemm_gains(&p, readers))
        return false;
    *shape = SG_SHAPE((p.n + width - 1) / width, p.k, width);
    *(packed *)attr = (packed){{p.k, p.n}, {width, 1}, p.k * width, by_columns};
    return true;
}

static const sg_prepare packing = {1, &pack_op, &matmul_packed_op, worth_packing};

static const sg_op matmul_op = {
    .name = "matmul",
    .args = "x y",
    .flags = SG_OP_STRIDED | SG_OP_SPLIT | SG_OP_SURE,
    .arity = 2,
    .infer = matmul_infer,
    .run = matmul_run,
    .shares = matmul_shares,
    .scratch = matmul_scratch,
    .flops = matmul_flops,
    .prepare = &packing,
    .joint = matmul_joint,
    .batch = matmul_batch,
    .vjp = matmul_vjp,
};

sg_tensor *sg_matmul(sg_tensor *x, sg_tensor *y)
{
    /* What does not fit stays as it is, for the message. */
    sg_shape xs = sg_shape_of(x), ys = sg_shape_of(y);
    bool fits = inner_agree(&xs, &ys), row = fits && xs.rank == 1, column = fits && ys.rank == 1;
    sg_tensor *a = row ? sg_expand_dims(x, 0) : x, *b = column ? sg_expand_dims(y, 1) : y;
    sg_tensor *z = sg_record(&matmul_op, NULL, 2, (sg_tensor *[]){a, b});
    z = column && !sg_is_nil(z) ? sg_squeeze(z, -1) : z;
    return row && !sg_is_nil(z) ? sg_squeeze(z, column ? -1 : -2) : z;
}
