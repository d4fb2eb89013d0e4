/*
 * seqgrad optim: training steps. Gradients, clipping, the rate's schedule, moments and the update
 * of all parameters are recorded like everything else and run in one plan with the loss; if
 * anything in it fails, no parameter has changed.
 */
#ifndef SG_OPTIM_H
#define SG_OPTIM_H

#include "core/core.h"
#include "ops/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    SG_CONSTANT_RATE, /* rate */
    SG_STEPS,         /* rate * factor^floor(n / period) */
    SG_EXPONENTIAL,   /* rate * factor^(n / period) */
    SG_INVERSE_SQRT,  /* rate * sqrt(max(warmup, 1) / t) (Vaswani et al. 2017) */
    SG_COSINE         /* from rate to floor over period steps (Loshchilov & Hutter 2017) */
} sg_schedule_kind;

/* A learning rate over steps t = 1, 2, …. During the first `warmup` steps it rises linearly to
 * `rate`; then n = t - warmup - 1 = 0, 1, … */
typedef struct sg_schedule {
    sg_schedule_kind kind;
    double factor; /* 0 means 0.5 */
    double period; /* steps; 0 means 1000 */
    double warmup; /* steps */
    double floor;  /* the rate is never less */
} sg_schedule;
SG_API double sg_schedule_rate(const sg_schedule *s, double rate, int64_t t);

typedef enum { SG_SGD, SG_ADAM, SG_ADAMW } sg_optimizer_kind;

/* What names an optimizer is an error in another. */
typedef struct sg_optimizer_options {
    sg_context *g;
    sg_optimizer_kind kind;
    double rate;         /* 0 means 0.01 (SGD), 0.001 (Adam) */
    double momentum;     /* SGD: v = momentum * v + d; 0: none */
    bool nesterov;       /* SGD: the step is d + momentum * v */
    double beta1, beta2; /* Adam; 0 means 0.9, 0.999 */
    double epsilon;      /* Adam; 0 means 1e-8 */
    double decay;        /* SGD, Adam: L2, added to the gradient; AdamW: decoupled */
    double clip_norm;    /* of all gradients together: scaled down to it; 0: not clipped */
    double clip_value;   /* each element to ±this; 0: not clipped */
    /* Of a parameter of which sg_take looked up rows, and which is not used in another way: only
     * these rows and their moments change. Otherwise moments fade and decay goes on in the others
     * too, as in the papers, which takes time where a table is large. (SGD without either is the
     * same both ways, and as fast.) */
    bool lazy;
    int accumulate; /* gradients of so many steps are averaged for one update; 0 means 1 */
    sg_schedule schedule;
    const char *name; /* of its buffers; NULL means "optim". Not copied. */
    int end_;
} sg_optimizer_options;

/* An optimizer's moments and counts are buffers of the context, saved and loaded with it:
 * "optim.m.PARAMETER", "optim.v.PARAMETER", "optim.steps". Two of them in a context need names.
 * Groups (sg_group) multiply its rate and decay, frozen parameters are left alone. */
typedef struct sg_optimizer {
    sg_optimizer_options o;
    sg_tensor *norm; /* [] the last step's gradient norm before clipping, where clip_norm is set */
    int64_t steps;   /* updates made so far, also by an earlier run that was loaded */
} sg_optimizer;

/* sg_optimizer adam = sg_adam(g, .rate = 1e-3, .clip_norm = 5); */
#define sg_sgd(...)                                                                                \
    sg_make_optimizer((sg_optimizer_options){__VA_ARGS__, .kind = SG_SGD, .end_ = 0})
#define sg_adam(...)                                                                               \
    sg_make_optimizer((sg_optimizer_options){__VA_ARGS__, .kind = SG_ADAM, .end_ = 0})
#define sg_adamw(...)                                                                              \
    sg_make_optimizer((sg_optimizer_options){__VA_ARGS__, .kind = SG_ADAMW, .end_ = 0})
SG_API sg_optimizer sg_make_optimizer(sg_optimizer_options o);

/* One step down the gradient of loss, a scalar, for all parameters that are not frozen. The loss
 * keeps its value. sg_update only records it, and the next evaluation takes it: in between, the
 * step's plan can be looked at, as sg_plan_infos(1, &loss). */
SG_API sg_status sg_step(sg_optimizer *o, sg_tensor *loss);
SG_API void sg_update(sg_optimizer *o, sg_tensor *loss);

/* Clipping as a composition, for steps of one's own: gradients are replaced in place. Returns the
 * global norm, [] (Pascanu et al. 2013). */
SG_API sg_tensor *sg_clip_norm(int n, sg_tensor **grads, double most);
SG_API void sg_clip_value(int n, sg_tensor **grads, double most);

/* Early stopping that keeps the best parameters. sg_stopper s = {.patience = 3}; per evaluation:
 * if (sg_stopper_done(&s, g, loss)) break; and at the end sg_stopper_restore(&s, g). */
typedef struct sg_stopper {
    int patience;           /* evaluations without improvement that are borne; 0 means 3 */
    double least;           /* improvement that counts */
    double best;            /* so far */
    int64_t best_at, count; /* evaluation of the best, counted from 1; evaluations so far */
} sg_stopper;
SG_API bool sg_stopper_done(sg_stopper *s, sg_context *g, double loss);
SG_API sg_status sg_stopper_restore(const sg_stopper *s, sg_context *g);

#ifdef __cplusplus
}
#endif

#endif
