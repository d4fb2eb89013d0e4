/* Attention in its scores, coverage, windows; pooling; fusion: against recordings of
 * tests/oracle/attention.py, in single and in double precision, values and gradients. */
#include "models/models.h"
#include "tests/oracle/attention.h"
#include "tests/recorded.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const int lengths[] = {3, 2};

/* ---- scores --------------------------------------------------------------------------------- */

static const struct score {
    recording r;
    sg_attention_options o;
    bool given; /* local-m: windows stand where they are told to */
} score_rows[] = {
    {RECORDING(dot), {.score = SG_DOT}, false},
    {RECORDING(general), {.score = SG_GENERAL}, false},
    {RECORDING(concat), {.score = SG_CONCAT, .hidden = INNER}, false},
    {RECORDING(heads), {.score = SG_HEADS, .heads = HEADS}, false},
    {RECORDING(local_p), {.score = SG_GENERAL, .window = WINDOW}, false},
    {RECORDING(local_m), {.score = SG_GENERAL, .window = WINDOW}, true},
};

static sg_attention make(tape *t, sg_attention_options o)
{
    o.g = t->g;
    o.name = "a";
    o.query = o.key = SIZE;
    o.dtype = t->dtype;
    return sg_make_attention_(o);
}

static void check_score(sg_dtype d, const struct score *row)
{
    tape t = open_tape(d, row->r);
    sg_attention a = make(&t, row->o);
    sg_tensor *q = leaf(&t, SG_SHAPE(BATCH, QUERIES, SIZE));
    sg_tensor *v = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE));
    leaf_parameters(&t);
    sg_memory m = sg_remember(&a, v, lengths);
    if (row->given)
        m.position = tensor(t.g, d, SG_SHAPE(BATCH, QUERIES), (double[]){0, 1, 0, 1});
    sg_attended r = sg_attend(&a, &m, q);
    all_agree(&t, r.context, r.weights);
}

static void check_coverage(sg_dtype d)
{
    tape t = open_tape(d, (recording)RECORDING(coverage));
    sg_attention a =
        make(&t, (sg_attention_options){.score = SG_CONCAT, .hidden = INNER, .coverage = true});
    sg_tensor *q = leaf(&t, SG_SHAPE(BATCH, QUERIES, SIZE));
    sg_tensor *v = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE)), *context[QUERIES], *cost[QUERIES];
    leaf_parameters(&t);
    sg_memory m = sg_remember(&a, v, lengths);
    sg_tensor *covered = sg_full(t.g, d, SG_SHAPE(BATCH, TIME), 0);
    for (int i = 0; i < QUERIES; i++) {
        sg_attended r = sg_attend(&a, &m, sg_index(q, 1, i));
        context[i] = r.context;
        cost[i] = sg_coverage_loss(r.weights, covered);
        m.coverage = covered = sg_add(covered, r.weights);
    }
    all_agree(&t, sg_stack_(1, QUERIES, context), covered, sg_stack_(1, QUERIES, cost));
}

Test(recorded_attention, scores)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        for (size_t i = 0; i < COUNT(score_rows); i++)
            check_score((sg_dtype)d, &score_rows[i]);
        check_coverage((sg_dtype)d);
    }
}

/* ---- many to one ---------------------------------------------------------------------------- */

Test(recorded_attention, pools)
{
    static const recording kinds[] = {[SG_POOL_LAST] = RECORDING(pool_last),
                                      [SG_POOL_MEAN] = RECORDING(pool_mean),
                                      [SG_POOL_MAX] = RECORDING(pool_max)};
    for (int d = SG_F32; d <= SG_F64; d++) {
        for (int i = SG_POOL_LAST; i <= SG_POOL_MAX; i++) {
            tape t = open_tape((sg_dtype)d, kinds[i]);
            sg_tensor *h = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE));
            all_agree(&t, sg_pool((sg_pooling)i, h, lengths));
        }
        tape t = open_tape((sg_dtype)d, (recording)RECORDING(pool_attention));
        sg_attention_pool a = sg_make_attention_pool(t.g, "a", SIZE, INNER, (sg_dtype)d);
        sg_tensor *h = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE));
        leaf_parameters(&t);
        sg_attended r = sg_pool_by_attention(&a, h, lengths);
        all_agree(&t, r.context, r.weights);
    }
}

/* ---- fusion --------------------------------------------------------------------------------- */

static const struct fused {
    recording r;
    sg_fusion_options o;
} fusion_rows[] = {
    {RECORDING(fuse_add), {.kind = SG_FUSE_ADD, .z = SIZE}},
    {RECORDING(fuse_projected), {.kind = SG_FUSE_ADD, .z = OTHER, .project = true}},
    {RECORDING(fuse_mean), {.kind = SG_FUSE_MEAN, .z = SIZE}},
    {RECORDING(fuse_concat), {.kind = SG_FUSE_CONCAT, .z = OTHER}},
    {RECORDING(fuse_restored), {.kind = SG_FUSE_RESTORED, .z = OTHER}},
    {RECORDING(fuse_mlp), {.kind = SG_FUSE_MLP, .z = OTHER, .out = INNER, .activation = SG_RELU}},
};

static void check_fusion(sg_dtype d, const struct fused *row)
{
    tape t = open_tape(d, row->r);
    sg_fusion_options o = row->o;
    o.g = t.g;
    o.name = "a";
    o.h = SIZE;
    o.dtype = d;
    sg_fusion f = sg_make_fusion_(o);
    sg_tensor *h = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE)), *z = leaf(&t, SG_SHAPE(BATCH, o.z));
    leaf_parameters(&t);
    all_agree(&t, sg_fuse(&f, h, z));
}

Test(recorded_attention, fusions)
{
    for (size_t i = 0; i < COUNT(fusion_rows); i++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_fusion((sg_dtype)d, &fusion_rows[i]);
}
