/* Rows of the ops that move elements: view.c, join.c, index.c, sort.c, sequence.c. */
#include "tests/op_table.h"

enum { NUMBERS = SG_FLOATS | 1 << SG_I32 };

/* ---- views ---------------------------------------------------------------------------------- */

BUILD(build_transpose, sg_transpose(x[0], 0, -1))
REFERENCE(transpose_reference, AT(0, i[2], i[1], i[0]))
BUILD(build_permute, sg_permute(x[0], (const int[]){2, 0, -2}))
REFERENCE(permute_reference, AT(0, i[1], i[2], i[0]))
BUILD(build_expand_dims, sg_expand_dims(x[0], 1))
REFERENCE(expand_dims_reference, AT(0, i[0], i[2]))
BUILD(build_squeeze, sg_squeeze(x[0], -2))
REFERENCE(squeeze_reference, AT(0, i[0], 0, i[1]))
BUILD(slice_middle, sg_slice(x[0], 1, 2, -1, 1))
REFERENCE(slice_middle_reference, AT(0, i[0], i[1] + 2, i[2]))
BUILD(slice_step, sg_slice(x[0], 1, 1, SG_END, 3))
REFERENCE(slice_step_reference, AT(0, i[0], 1 + 3 * i[1], i[2]))
BUILD(slice_back, sg_slice(x[0], 0, -2, 0, -2))
REFERENCE(slice_back_reference, AT(0, DIM(0, 0) - 2 - 2 * i[0], i[1]))
BUILD(slice_nothing, sg_slice(x[0], 0, 3, 1, 1))
BUILD(build_index, sg_index(x[0], 1, -2))
REFERENCE(index_reference, AT(0, i[0], DIM(0, 1) - 2, i[1]))
BUILD(build_flip, sg_flip(x[0], 1))
REFERENCE(flip_reference, AT(0, i[0], DIM(0, 1) - 1 - i[1], i[2]))
BUILD(build_unfold, sg_unfold(x[0], 1, 3, 2)) /* windows that overlap */
REFERENCE(unfold_reference, AT(0, i[0], 2 * i[1] + i[3], i[2]))
BUILD(unfold_gaps, sg_unfold(x[0], 0, 2, 3))
REFERENCE(unfold_gaps_reference, AT(0, 3 * i[0] + i[1]))

/* ---- joining -------------------------------------------------------------------------------- */

BUILD(build_pad, sg_pad(x[0], 1, 2, 1, 0))
REFERENCE(pad_reference, i[1] < 2 || i[1] >= 2 + DIM(0, 1) ? 0 : AT(0, i[0], i[1] - 2, i[2]))
BUILD(build_slice_update, sg_slice_update(x[0], x[1], 1, 1))
REFERENCE(slice_update_reference,
          i[1] >= 1 && i[1] < 1 + DIM(1, 1) ? AT(1, i[0], i[1] - 1, i[2]) : AT(0, i[0], i[1], i[2]))
BUILD(build_concat, sg_concat(1, x[0], x[1], x[2]))
REFERENCE(concat_reference, i[1] < DIM(0, 1) ? AT(0, i[0], i[1])
                            : i[1] < DIM(0, 1) + DIM(1, 1)
                                ? AT(1, i[0], i[1] - DIM(0, 1))
                                : AT(2, i[0], i[1] - DIM(0, 1) - DIM(1, 1)))
BUILD(concat_same, sg_concat(0, x[0], x[1], x[0]))
REFERENCE(concat_same_reference, i[0] < DIM(0, 0) ? AT(0, i[0], i[1])
                                 : i[0] < DIM(0, 0) + DIM(1, 0)
                                     ? AT(1, i[0] - DIM(0, 0), i[1])
                                     : AT(0, i[0] - DIM(0, 0) - DIM(1, 0), i[1]))
BUILD(build_stack, sg_stack(1, x[0], x[1]))
REFERENCE(stack_reference, i[1] ? AT(1, i[0], i[2]) : AT(0, i[0], i[2]))
BUILD(stack_last, sg_stack(-1, x[0], x[1], x[0]))
REFERENCE(stack_last_reference, i[2] == 1 ? AT(1, i[0], i[1]) : AT(0, i[0], i[1]))

/* thirds of an axis, the last before the first */
static sg_tensor *build_split(sg_context *g, sg_tensor *const *x)
{
    sg_tensor *part[3];
    (void)g;
    sg_split(x[0], -1, 3, part);
    return sg_concat(0, part[2], part[0]);
}
REFERENCE(split_reference,
          i[0] < DIM(0, 0) ? AT(0, i[0], i[1] + 2 * DIM(0, 1) / 3) : AT(0, i[0] - DIM(0, 0), i[1]))

BUILD(build_fold, sg_fold(x[0], 1, 7, 2))
static double fold_reference(const op_array *in, const int64_t *i, int rank)
{
    double sum = 0;
    (void)rank;
    for (int64_t w = 0; w < DIM(0, 1); w++)
        for (int64_t k = 0; k < DIM(0, 3); k++)
            sum += 2 * w + k == i[1] ? AT(0, i[0], w, i[2], k) : 0;
    return sum;
}
BUILD(fold_gaps, sg_fold(x[0], -1, 8, 3)) /* what no window covers is 0 */
REFERENCE(fold_gaps_reference, i[0] % 3 == 2 ? 0 : AT(0, i[0] / 3, i[0] % 3))

/* ---- index ---------------------------------------------------------------------------------- */

BUILD(build_take, sg_take(x[0], x[1]))
REFERENCE(take_reference, AT(0, (int64_t)AT(1, i[0], i[1]), i[2]))
BUILD(take_elements, sg_square(sg_take(x[0], x[1])))
REFERENCE(take_elements_reference, AT(0, (int64_t)AT(1, i[0])) * AT(0, (int64_t)AT(1, i[0])))
BUILD(build_scatter_add, sg_scatter_add(x[0], x[1], 4))
static double scatter_add_reference(const op_array *in, const int64_t *i, int rank)
{
    double sum = 0;
    (void)rank;
    for (int64_t k = 0; k < DIM(1, 0); k++)
        sum += (int64_t)AT(1, k) == i[0] ? AT(0, k, i[1]) : 0;
    return sum;
}
BUILD(scatter_add_2, sg_scatter_add(x[0], x[1], 5)) /* by indices of two axes */
static double scatter_add_2_reference(const op_array *in, const int64_t *i, int rank)
{
    double sum = 0;
    (void)rank;
    for (int64_t j = 0; j < DIM(1, 0); j++)
        for (int64_t k = 0; k < DIM(1, 1); k++)
            sum += (int64_t)AT(1, j, k) == i[0] ? AT(0, j, k, i[1]) : 0;
    return sum;
}

BUILD(build_touched, sg_touched(sg_scatter_add(x[0], x[1], 6)))
static double touched_reference(const op_array *in, const int64_t *i, int rank)
{
    bool any = false;
    (void)rank;
    for (int64_t k = 0; k < DIM(1, 0); k++)
        any = any || (int64_t)AT(1, k) == i[0];
    return any;
}

BUILD(take_along_1, sg_take_along_axis(x[0], x[1], 1))
REFERENCE(take_along_1_reference, AT(0, i[0], (int64_t)AT(1, i[0], i[1], i[2]), i[2]))
BUILD(take_along_0, sg_take_along_axis(x[0], x[1], 0))
REFERENCE(take_along_0_reference, AT(0, (int64_t)AT(1, i[0], i[1]), i[1]))
BUILD(scatter_along_1, sg_scatter_add_along_axis(x[0], x[1], 1, 4))
static double scatter_along_1_reference(const op_array *in, const int64_t *i, int rank)
{
    double sum = 0;
    (void)rank;
    for (int64_t k = 0; k < DIM(1, 1); k++)
        sum += (int64_t)AT(1, i[0], k, i[2]) == i[1] ? AT(0, i[0], k, i[2]) : 0;
    return sum;
}
BUILD(scatter_along_last, sg_scatter_add_along_axis(x[0], x[1], -1, 6))
static double scatter_along_last_reference(const op_array *in, const int64_t *i, int rank)
{
    double sum = 0;
    (void)rank;
    for (int64_t k = 0; k < DIM(1, 1); k++)
        sum += (int64_t)AT(1, i[0], k) == i[1] ? AT(0, i[0], k) : 0;
    return sum;
}

BUILD(build_one_hot, sg_mul(x[0], sg_one_hot(x[1], sg_dim(x[0], 1), sg_type(x[0]))))
REFERENCE(one_hot_reference, AT(1, i[0]) == (double)i[1] ? AT(0, i[0], i[1]) : 0)

/* ---- order ---------------------------------------------------------------------------------- */

/* How many elements of the axis stand before element k. */
static int64_t place_of(const op_array *a, int64_t row, int64_t k, bool descending)
{
    int64_t before = 0, n = a->shape.dim[1];
    const double *v = a->v + row * n;
    for (int64_t j = 0; j < n; j++)
        before += v[j] == v[k] ? j < k : descending ? v[j] > v[k] : v[j] < v[k];
    return before;
}

static double argsort_of(const op_array *in, int64_t row, int64_t place, bool descending)
{
    int64_t k = 0;
    while (place_of(&in[0], row, k, descending) != place)
        k++;
    return (double)k;
}

BUILD(build_argsort, sg_argsort(x[0], -1, false))
REFERENCE(argsort_reference, argsort_of(in, i[0], i[1], false))
BUILD(argsort_down, sg_argsort(x[0], 1, true))
REFERENCE(argsort_down_reference, argsort_of(in, i[0], i[1], true))
BUILD(build_sort, sg_sort(x[0], 1, false))
REFERENCE(sort_reference, AT(0, i[0], (int64_t)argsort_of(in, i[0], i[1], false)))
BUILD(sort_first, sg_transpose(sg_sort(sg_transpose(x[0], 0, 1), 0, true), 0, 1))
REFERENCE(sort_first_reference, AT(0, i[0], (int64_t)argsort_of(in, i[0], i[1], true)))
BUILD(build_topk, sg_topk(x[0], 1, 2, NULL))

static sg_tensor *topk_indices(sg_context *g, sg_tensor *const *x)
{
    sg_tensor *i;
    (void)g;
    sg_topk(x[0], -1, 3, &i);
    return i;
}

/* ---- rows of different lengths --------------------------------------------------------------- */

static const int lengths[] = {2, 0, 4};

BUILD(build_reverse, sg_reverse_sequence(x[0], lengths))
REFERENCE(reverse_reference,
          AT(0, i[0], i[1] < lengths[i[0]] ? lengths[i[0]] - 1 - i[1] : i[1], i[2]))
BUILD(build_length_mask, sg_where(sg_length_mask(g, (int)sg_dim(x[0], 0), sg_dim(x[0], 1), lengths),
                                  x[0], sg_like(x[0], 0)))
REFERENCE(length_mask_reference, i[1] < lengths[i[0]] ? AT(0, i[0], i[1]) : 0)

/* ---- rows ----------------------------------------------------------------------------------- */

#define ROW(name, form_, build_, reference_, flags_, types_, ...)                                  \
    {                                                                                              \
        .op = name, .form = form_, .build = build_, .reference = reference_, .flags = flags_,      \
        .types = types_, __VA_ARGS__                                                               \
    }

/* clang-format off */
static const op_row rows[] = {
    ROW("transpose", NULL, build_transpose, transpose_reference, OP_LINEAR, SG_ALL,
        .result = S(4, 3, 2), .in = {{S(2, 3, 4)}},
        .empty = {{2, S(4, 3, 0)}, {4, S(0, 3, 2)}}),
    ROW("permute", NULL, build_permute, permute_reference, OP_LINEAR, SG_ALL,
        .result = S(4, 2, 3), .in = {{S(2, 3, 4)}}, .empty = {{3, S(4, 2, 0)}}),
    ROW("expand_dims", NULL, build_expand_dims, expand_dims_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 1, 4), .in = {{S(3, 4)}}, .empty = {{3, S(0, 1, 4)}}),
    ROW("squeeze", NULL, build_squeeze, squeeze_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 4), .in = {{S(3, 1, 4)}}, .empty = {{4, S(3, 0)}}),
    ROW("slice", "middle", slice_middle, slice_middle_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 4, 3), .in = {{S(2, 7, 3)}},
        .empty = {{2, S(0, 4, 3)}, {7, S(2, 0, 3)}}),
    ROW("slice", "step 3", slice_step, slice_step_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 3, 4), .in = {{S(2, 9, 4)}}, .empty = {{9, S(2, 0, 4)}}),
    ROW("slice", "step -2", slice_back, slice_back_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 5), .in = {{S(8, 5)}}, .empty = {{8, S(0, 5)}, {5, S(3, 0)}}),
    ROW("slice", "nothing", slice_nothing, NULL, OP_CONSTANT, SG_ALL,
        .result = S(0, 3), .in = {{S(5, 3)}}, .empty = {{3, S(0, 0)}}),
    ROW("index", NULL, build_index, index_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 4), .in = {{S(2, 3, 4)}}, .empty = {{2, S(0, 4)}}),
    ROW("flip", NULL, build_flip, flip_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 3, 4), .in = {{S(2, 3, 4)}}, .empty = {{3, S(2, 0, 4)}}),
    ROW("unfold", NULL, build_unfold, unfold_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 3, 4, 3), .in = {{S(2, 7, 4)}}, .empty = {{4, S(2, 3, 0, 3)}}),
    ROW("unfold", "gaps", unfold_gaps, unfold_gaps_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 2), .in = {{S(9)}}),
    ROW("pad", NULL, build_pad, pad_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 6, 4), .in = {{S(2, 3, 4)}},
        .empty = {{3, S(2, 3, 4)}, {4, S(2, 6, 0)}}),
    ROW("slice_update", NULL, build_slice_update, slice_update_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 5, 4), .in = {{S(2, 5, 4)}, {S(2, 3, 4)}},
        .empty = {{2, S(0, 5, 4)}, {3, S(2, 5, 4)}}),
    ROW("concat", NULL, build_concat, concat_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 11), .in = {{S(3, 4)}, {S(3, 2)}, {S(3, 5)}},
        .empty = {{3, S(0, 11)}, {4, S(3, 7)}, {2, S(3, 9)}}),
    ROW("concat", "same operand", concat_same, concat_same_reference, OP_LINEAR, SG_ALL,
        .result = S(7, 4), .in = {{S(2, 4)}, {S(3, 4)}}, .empty = {{2, S(3, 4)}}),
    ROW("stack", NULL, build_stack, stack_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 2, 4), .in = {{S(3, 4)}, {S(3, 4)}}, .empty = {{3, S(0, 2, 4)}}),
    ROW("stack", "last", stack_last, stack_last_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 4, 3), .in = {{S(3, 4)}, {S(3, 4)}}, .empty = {{4, S(3, 0, 3)}}),
    ROW("split", NULL, build_split, split_reference, OP_LINEAR, SG_ALL,
        .result = S(8, 2), .in = {{S(4, 6)}}, .empty = {{6, S(8, 0)}, {4, S(0, 2)}}),
    ROW("fold", NULL, build_fold, fold_reference, OP_LINEAR, 0,
        .result = S(2, 7, 4), .in = {{S(2, 3, 4, 3)}}, .empty = {{4, S(2, 7, 0)}}),
    ROW("fold", "gaps", fold_gaps, fold_gaps_reference, OP_LINEAR, 0,
        .result = S(8), .in = {{S(3, 2)}}),
    ROW("take", NULL, build_take, take_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 6, 5), .in = {{S(4, 5)}, {S(2, 6), 0, 4, OP_INDEX}},
        .empty = {{2, S(0, 6, 5)}, {5, S(2, 6, 0)}}),
    ROW("take", "squared elements", take_elements, take_elements_reference, 0, NUMBERS,
        .result = S(9), .in = {{S(3)}, {S(9), 0, 3, OP_INDEX}}, .empty = {{9, S(0)}}),
    ROW("scatter_add", NULL, build_scatter_add, scatter_add_reference, OP_LINEAR, NUMBERS,
        .result = S(4, 5), .in = {{S(7, 5)}, {S(7), 0, 4, OP_INDEX}},
        .empty = {{7, S(4, 5)}, {5, S(4, 0)}}),
    ROW("scatter_add", "two axes", scatter_add_2, scatter_add_2_reference, OP_LINEAR, NUMBERS,
        .result = S(5, 4), .in = {{S(2, 3, 4)}, {S(2, 3), 0, 5, OP_INDEX}},
        .empty = {{2, S(5, 4)}}),
    ROW("touched", NULL, build_touched, touched_reference, OP_CONSTANT, NUMBERS,
        .result = S(6, 1), .in = {{S(3, 5)}, {S(3), 0, 6, OP_INDEX}},
        .empty = {{3, S(6, 1)}, {5, S(6, 1)}}),
    ROW("take_along_axis", NULL, take_along_1, take_along_1_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 5, 4), .in = {{S(2, 3, 4)}, {S(2, 5, 4), 0, 3, OP_INDEX}},
        .empty = {{5, S(2, 0, 4)}, {4, S(2, 5, 0)}}),
    ROW("take_along_axis", "first", take_along_0, take_along_0_reference, OP_LINEAR, SG_ALL,
        .result = S(5, 4), .in = {{S(3, 4)}, {S(5, 4), 0, 3, OP_INDEX}},
        .empty = {{5, S(0, 4)}}),
    ROW("scatter_add_along_axis", NULL, scatter_along_1, scatter_along_1_reference, OP_LINEAR,
        NUMBERS, .result = S(2, 4, 3), .in = {{S(2, 5, 3)}, {S(2, 5, 3), 0, 4, OP_INDEX}},
        .empty = {{5, S(2, 4, 3)}, {3, S(2, 4, 0)}}),
    ROW("scatter_add_along_axis", "last", scatter_along_last, scatter_along_last_reference,
        OP_LINEAR, NUMBERS, .result = S(3, 6), .in = {{S(3, 8)}, {S(3, 8), 0, 6, OP_INDEX}},
        .empty = {{8, S(3, 6)}}),
    ROW("one_hot", NULL, build_one_hot, one_hot_reference, OP_LINEAR, NUMBERS,
        .result = S(6, 3), .in = {{S(6, 3)}, {S(6), -1, 4, OP_INDEX}}, .empty = {{6, S(0, 3)}}),
    ROW("argsort", NULL, build_argsort, argsort_reference, OP_CONSTANT | OP_APART, SG_ALL,
        .result = S(3, 7), .in = {{S(3, 7)}}, .empty = {{7, S(3, 0)}}),
    ROW("argsort", "descending", argsort_down, argsort_down_reference, OP_CONSTANT | OP_APART,
        SG_ALL, .result = S(3, 7), .in = {{S(3, 7)}}, .empty = {{3, S(0, 7)}}),
    ROW("sort", NULL, build_sort, sort_reference, OP_LINEAR | OP_APART, SG_ALL,
        .result = S(3, 7), .in = {{S(3, 7)}}, .empty = {{7, S(3, 0)}}),
    ROW("sort", "first axis", sort_first, sort_first_reference, OP_LINEAR | OP_APART, SG_ALL,
        .result = S(3, 7), .in = {{S(3, 7)}}, .empty = {{3, S(0, 7)}}),
    ROW("topk", NULL, build_topk, sort_first_reference, OP_LINEAR | OP_APART, SG_ALL,
        .result = S(3, 2), .in = {{S(3, 7)}}, .empty = {{3, S(0, 2)}}),
    ROW("topk", "indices", topk_indices, argsort_down_reference, OP_CONSTANT | OP_APART, SG_ALL,
        .result = S(4, 3), .in = {{S(4, 7)}}, .empty = {{4, S(0, 3)}}),
    ROW("reverse_sequence", NULL, build_reverse, reverse_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 5, 2), .in = {{S(3, 5, 2)}},
        .empty = {{3, S(0, 5, 2)}, {2, S(3, 5, 0)}}),
    ROW("length_mask", NULL, build_length_mask, length_mask_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 5), .in = {{S(3, 5)}}, .empty = {{3, S(0, 5)}}),
};
/* clang-format on */

const op_rows op_move_rows = OP_ROWS(rows);
