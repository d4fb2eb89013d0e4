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

sg_cell cells_make(const cells_choice *c, sg_cell_options o)
{
    static const struct {
        sg_cell (*make)(sg_cell_options);
        sg_gru_reset reset;
        sg_gru_update update;
        bool peephole, coupled, projection, norm;
    } kinds[] = {
        {sg_rnn_},
        {sg_gru_, .reset = SG_RESET_AFTER},
        {sg_lstm_},
        {sg_gru_, .reset = SG_RESET_BEFORE},
        {sg_gru_, .reset = SG_RESET_AFTER, .update = SG_UPDATE_WRITE},
        {sg_mgu_},
        {sg_lstm_, .peephole = true},
        {sg_lstm_, .coupled = true},
        {sg_lstm_, .projection = true},
        {sg_lstm_, .norm = true},
    };
    char gate[64];
    int k = c->kind;
    o.reset = kinds[k].reset;
    o.update = kinds[k].update;
    o.peephole = kinds[k].peephole;
    o.coupled = kinds[k].coupled;
    o.norm = kinds[k].norm;
    if (kinds[k].projection) { /* a memory twice as large as what is seen of it */
        o.projection = o.hidden;
        o.hidden *= 2;
    }
    o.candidate_dropout = c->candidate_dropout;
    sg_cell p = kinds[k].make(o);
    snprintf(gate, sizeof gate, "%s_gate", o.name);
    return c->wrap == RESIDUAL ? sg_residual(p) : c->wrap == HIGHWAY ? sg_highway(p, gate) : p;
}

int cells_fused_size(sg_fusion_kind kind, int h, int z)
{
    return kind == SG_FUSE_CONCAT ? h + z : h;
}
