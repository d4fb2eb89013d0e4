/* Cells, their options and wrappers, layers of them, what they are fed and leave behind: against
 * recordings of tests/oracle/cells.py, in single and in double precision, values and gradients. */
#include "models/models.h"
#include "tests/oracle/cells.h"
#include "tests/recorded.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum wrapper { PLAIN, VARIATIONAL, RESIDUAL, HIGHWAY };

static const struct row {
    recording r;
    sg_cell (*make)(sg_cell_options);
    sg_cell_options o;
    enum wrapper wrapper;
} rows[] = {
    {RECORDING(rnn_sigmoid), sg_rnn_, {.activation = SG_SIGMOID}, PLAIN},
    {RECORDING(rnn_identity), sg_rnn_, {.activation = SG_IDENTITY}, PLAIN},
    {RECORDING(gru_before_keep), sg_gru_, {.reset = SG_RESET_BEFORE}, PLAIN},
    {RECORDING(gru_before_write), sg_gru_, {.update = SG_UPDATE_WRITE}, PLAIN},
    {RECORDING(gru_after_keep), sg_gru_, {.reset = SG_RESET_AFTER}, PLAIN},
    {RECORDING(gru_after_write),
     sg_gru_,
     {.reset = SG_RESET_AFTER, .update = SG_UPDATE_WRITE},
     PLAIN},
    {RECORDING(mgu), sg_mgu_, {.dropout = 0}, PLAIN},
    {RECORDING(lstm_peephole), sg_lstm_, {.peephole = true}, PLAIN},
    {RECORDING(lstm_coupled), sg_lstm_, {.coupled = true}, PLAIN},
    {RECORDING(lstm_coupled_peephole), sg_lstm_, {.coupled = true, .peephole = true}, PLAIN},
    {RECORDING(lstm_norm), sg_lstm_, {.norm = true}, PLAIN},
    /* out of training mode: dropout does nothing, zoneout is its mean */
    {RECORDING(zoneout),
     sg_lstm_,
     {.zoneout = 0.25, .zoneout_c = 0.125, .dropout = 0.5, .state_dropout = 0.5},
     PLAIN},
    {RECORDING(variational), sg_lstm_, {.variational = true}, VARIATIONAL},
    {RECORDING(residual), sg_gru_, {.reset = SG_RESET_AFTER}, RESIDUAL},
    {RECORDING(highway), sg_gru_, {.reset = SG_RESET_AFTER}, HIGHWAY},
};

static void check_cell(sg_dtype d, const struct row *row)
{
    tape t = open_tape(d, row->r);
    sg_cell_options o = row->o;
    o.g = t.g;
    o.name = "cell";
    o.in = IN;
    o.hidden = HIDDEN;
    o.dtype = d;
    sg_cell p = row->make(o);
    sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, IN)), *y;
    if (row->wrapper == VARIATIONAL) {
        p.mask_x = leaf(&t, SG_SHAPE(BATCH, IN));
        p.mask_h = leaf(&t, SG_SHAPE(BATCH, HIDDEN));
    }
    sg_state start = {leaf(&t, SG_SHAPE(BATCH, HIDDEN)), NULL}, final;
    if (p.states > 1)
        start.c = leaf(&t, SG_SHAPE(BATCH, HIDDEN));
    p = row->wrapper == RESIDUAL  ? sg_residual(p)
        : row->wrapper == HIGHWAY ? sg_highway(p, "cell.gate")
                                  : p;
    leaf_parameters(&t);
    y = sg_unroll(p, x, .initial = start, .final = &final);
    all_agree_(&t, 1 + p.states, (sg_tensor *[]){y, final.h, final.c});
}

Test(recorded_cells, of_all_kinds)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_cell((sg_dtype)d, &rows[i]);
}

/* ---- one to many, stretches of a text ------------------------------------------------------- */

static const struct fed {
    recording r;
    sg_cell (*make)(sg_cell_options);
    sg_gru_reset reset;
    bool first_only;
} fed_rows[] = {
    {RECORDING(rnn_from_first), sg_rnn_, 0, true},
    {RECORDING(rnn_from_all), sg_rnn_, 0, false},
    {RECORDING(gru_from_first), sg_gru_, SG_RESET_AFTER, true},
    {RECORDING(gru_from_all), sg_gru_, SG_RESET_AFTER, false},
    {RECORDING(lstm_from_first), sg_lstm_, 0, true},
    {RECORDING(lstm_from_all), sg_lstm_, 0, false},
};

static void check_from_one(sg_dtype d, const struct fed *row)
{
    tape t = open_tape(d, row->r);
    sg_cell p = row->make((sg_cell_options){
        .g = t.g, .name = "cell", .in = IN, .hidden = HIDDEN, .reset = row->reset, .dtype = d});
    sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, IN));
    sg_state final;
    leaf_parameters(&t);
    sg_tensor *y = sg_unroll(p, sg_from_one(x, TIME, row->first_only), .final = &final);
    all_agree_(&t, 1 + p.states, (sg_tensor *[]){y, final.h, final.c});
}

Test(recorded_cells, from_one)
{
    for (size_t i = 0; i < COUNT(fed_rows); i++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_from_one((sg_dtype)d, &fed_rows[i]);
}

/* The loss of one stretch, after those before it. A reset lies between two, behind which all is
 * drawn once more. */
static void check_carried(sg_dtype d, int stretch)
{
    static const recording r[] = {RECORDING(carried_0), RECORDING(carried_1)};
    tape t = open_tape(d, r[stretch]);
    sg_cell p = sg_lstm(t.g, "cell", IN, HIDDEN, .dtype = d);
    sg_state s = {NULL};
    sg_tensor *y = NULL;
    for (int k = 0; k <= stretch; k++) {
        if (k) {
            sg_carry(1, &s);
            sg_eval(y);
            sg_reset(t.g);
        }
        t.state = 1;
        t.n = 0;
        sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, 2 * TIME, IN));
        leaf_parameters(&t);
        x = sg_slice(x, 1, k * TIME, (k + 1) * TIME, 1);
        y = sg_unroll(p, x, .initial = s, .final = &s);
    }
    all_agree(&t, sg_mean(sg_square(y), SG_ALL_AXES, false), y, s.h, s.c);
}

Test(recorded_cells, states_are_carried)
{
    for (int stretch = 0; stretch < 2; stretch++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_carried((sg_dtype)d, stretch);
}

/* ---- layers --------------------------------------------------------------------------------- */

/* y = f(x W + b) */
Test(recorded_cells, single_layer)
{
    static const recording r[] = {[SG_TANH] = RECORDING(layer_tanh),
                                  [SG_RELU] = RECORDING(layer_relu),
                                  [SG_IDENTITY] = RECORDING(layer_identity),
                                  [SG_SIGMOID] = RECORDING(layer_sigmoid)};
    for (size_t f = 0; f < COUNT(r); f++)
        for (int d = SG_F32; d <= SG_F64; d++) {
            tape t = open_tape((sg_dtype)d, r[f]);
            sg_affine a = sg_linear(t.g, "layer", IN, HIDDEN, .dtype = (sg_dtype)d);
            sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, IN));
            leaf_parameters(&t);
            all_agree(&t, sg_activate(sg_apply(a, x), (sg_activation)f));
        }
}

static void check_layers(sg_dtype d, bool gru)
{
    static const recording r[] = {RECORDING(stacked_rnn), RECORDING(stacked_gru)};
    static sg_cell (*const make[])(sg_cell_options) = {sg_rnn_, sg_gru_};
    tape t = open_tape(d, r[gru]);
    sg_cell cell[2][2];
    sg_state final[4];
    for (int i = 0; i < 4; i++)
        cell[i % 2][i / 2] =
            make[gru]((sg_cell_options){.g = t.g,
                                        .name = (const char *[]){"0f", "0b", "1f", "1b"}[i],
                                        .in = i < 2 ? IN : 2 * HIDDEN,
                                        .hidden = HIDDEN,
                                        .reset = gru ? SG_RESET_AFTER : 0,
                                        .dtype = d});
    sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, IN));
    leaf_parameters(&t);
    sg_tensor *y = sg_deep(2, cell[0], cell[1], x, .final = final);
    all_agree(&t, y, sg_stack(0, final[0].h, final[1].h, final[2].h, final[3].h));
}

Test(recorded_cells, in_layers)
{
    for (int gru = 0; gru < 2; gru++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_layers((sg_dtype)d, gru);
}

static void check_merge(sg_dtype d, recording r, sg_fusion_kind kind)
{
    tape t = open_tape(d, r);
    sg_cell forward = sg_rnn(t.g, "0f", IN, HIDDEN, .dtype = d);
    sg_cell backward = sg_rnn(t.g, "0b", IN, HIDDEN, .dtype = d);
    sg_fusion merge = sg_make_fusion(t.g, "v", kind, HIDDEN, HIDDEN, .dtype = d);
    sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, IN));
    leaf_parameters(&t);
    all_agree(&t, sg_deep(1, &forward, &backward, x, .merge = &merge));
}

Test(recorded_cells, of_both_directions)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        check_merge((sg_dtype)d, (recording)RECORDING(merged_sum), SG_FUSE_ADD);
        check_merge((sg_dtype)d, (recording)RECORDING(merged_mean), SG_FUSE_MEAN);
        check_merge((sg_dtype)d, (recording)RECORDING(merged_form), SG_FUSE_MLP);
    }
}
