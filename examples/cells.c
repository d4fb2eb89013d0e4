/* See cells.h. */
#include "examples/cells.h"

/* The first three are those of sg_cell_kind. */
const char *const cells_kinds[] = {
    "rnn", "gru",           "lstm",         "gru-before",      "gru-write",
    "mgu", "lstm-peephole", "lstm-coupled", "lstm-projection", "lstm-norm",
    NULL};
const char *const cells_wraps[] = {"none", "residual", "highway", NULL};
const char *const cells_fusions[] = {
    [SG_FUSE_CONCAT] = "concat",     [SG_FUSE_ADD] = "add", [SG_FUSE_MEAN] = "mean",
    [SG_FUSE_RESTORED] = "restored", [SG_FUSE_MLP] = "mlp", NULL};

enum { NONE, RESIDUAL, HIGHWAY };

/* ---- kinds ---------------------------------------------------------------------------------- */

#define KIND(name, make, setting)                                                                  \
    static sg_cell name(sg_cell_options o)                                                         \
    {                                                                                              \
        setting;                                                                                   \
        return make(o);                                                                            \
    }
KIND(gru, sg_gru_, o.reset = SG_RESET_AFTER)
KIND(gru_before, sg_gru_, o.reset = SG_RESET_BEFORE)
KIND(gru_write, gru, o.update = SG_UPDATE_WRITE)
KIND(lstm_peephole, sg_lstm_, o.peephole = true)
KIND(lstm_coupled, sg_lstm_, o.coupled = true)
KIND(lstm_norm, sg_lstm_, o.norm = true)

/* A memory twice as large as what is seen of it. */
KIND(lstm_projection, sg_lstm_, o.projection = o.hidden; o.hidden *= 2)

sg_cell (*const cells_makers[])(sg_cell_options) = {
    sg_rnn_, gru,           sg_lstm_,     gru_before,      gru_write,
    sg_mgu_, lstm_peephole, lstm_coupled, lstm_projection, lstm_norm};

sg_cell cells_make(const cells_choice *c, sg_cell_options o)
{
    char gate[64];
    o.candidate_dropout = c->candidate_dropout;
    sg_cell p = cells_makers[c->kind](o);
    snprintf(gate, sizeof gate, "%s_gate", o.name);
    return c->wrap == RESIDUAL ? sg_residual(p) : c->wrap == HIGHWAY ? sg_highway(p, gate) : p;
}

int cells_fused_size(sg_fusion_kind kind, int h, int z)
{
    return kind == SG_FUSE_CONCAT ? h + z : h;
}
