/* Six models, each small enough that its plan can be read, or `wide` times as wide. */
#ifndef GOLDEN_MODELS_H
#define GOLDEN_MODELS_H

#include "models/models.h"

enum { GOLDEN_MODELS = 6 };

typedef struct golden_model {
    const char *name;
    sg_tensor *(*loss)(sg_context *g, int wide);
} golden_model;

extern const golden_model golden_models[GOLDEN_MODELS];

/* A step of training: its loss, the evaluation of which updates all parameters. */
sg_tensor *golden_training(sg_context *g, const golden_model *m, int wide);

#endif
