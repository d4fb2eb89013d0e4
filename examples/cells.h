/*
 * Recurrent cells by options, the same in all programs that have one: which kind, and what is
 * around it.
 */
#ifndef EXAMPLES_CELLS_H
#define EXAMPLES_CELLS_H

#include "examples/options.h"
#include "models/models.h"

typedef struct cells_choice {
    int kind, wrap;
    double candidate_dropout;
} cells_choice;

extern const char *const cells_kinds[], *const cells_wraps[]; /* ended by NULL */

/* Rows of an option table, for a cells_choice c. */
#define CELLS_OPTIONS(c)                                                                           \
    {"cell", "recurrent cell", .choice = &(c).kind, .choices = cells_kinds},                       \
        {"wrap",                                                                                   \
         "what the cell gives out gets its input added, of the same size; or a gate mixes",        \
         .choice = &(c).wrap, .choices = cells_wraps},                                             \
    {                                                                                              \
        "candidate-dropout", "on what a step is about to write", .number = &(c).candidate_dropout, \
                                                                 .low = 0, .high = 0.95            \
    }

/* By kind; of o.hidden units, whatever they are. */
extern sg_cell (*const cells_makers[])(sg_cell_options o);
/* The cell that was chosen, wrapped. */
sg_cell cells_make(const cells_choice *c, sg_cell_options o);

/* Ways to join two vectors, of sg_fusion_kind. */
extern const char *const cells_fusions[];
/* Features of what f gives out, of h and z. */
int cells_fused_size(sg_fusion_kind kind, int h, int z);

#endif
