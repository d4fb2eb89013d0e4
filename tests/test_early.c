/*
 * The last steps that touch a large array go up: the gradient of an output layer's weight is
 * computed before the layers below go back, which do not need the logits' gradient.
 */
#include "ops/ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* The logits alone are large. */
enum { ROWS = 64, SIZE = 16, WORDS = 70000, LAYERS = 6 };

enum { /* bytes of f32 */
       STATE = 4 * ROWS * SIZE,
       LOGITS = 4 * ROWS * WORDS,
       WEIGHT = 4 * SIZE * SIZE,
       OUTPUT = 4 * SIZE * WORDS
};

typedef struct result {
    size_t workspace;
    int output, layer; /* the first steps that make a gradient of such a weight */
    float weight[SIZE * SIZE];
} result;

/* A step of training: layers, and at the end a choice among words. */
static sg_tensor *training(sg_context *g)
{
    enum { ALL = LAYERS + 1 };
    static float x[ROWS * SIZE];
    static int32_t labels[ROWS];
    sg_tensor *w[ALL], *d[ALL];
    for (int i = 0; i < ROWS * SIZE; i++)
        x[i] = (float)(i * 37 % 101) / 50 - 1;
    for (int i = 0; i < ROWS; i++)
        labels[i] = i * 71 % WORDS;
    sg_tensor *h = sg_input(g, SG_F32, SG_SHAPE(ROWS, SIZE), x);
    for (int i = 0; i < LAYERS; i++) {
        const char name[] = {'w', (char)('0' + i), '\0'};
        w[i] = sg_param(g, name, SG_SHAPE(SIZE, SIZE));
        h = sg_tanh(sg_matmul(h, w[i]));
    }
    w[LAYERS] = sg_param(g, "output", SG_SHAPE(SIZE, WORDS));
    sg_tensor *logits = sg_matmul(h, w[LAYERS]);
    sg_tensor *label = sg_input(g, SG_I32, SG_SHAPE(ROWS), labels);
    sg_tensor *loss = sg_sum(sg_cross_entropy(logits, label), SG_ALL_AXES, false);
    sg_grad(loss, ALL, w, d);
    for (int i = 0; i < ALL; i++)
        sg_assign(w[i], sg_sub(w[i], d[i]));
    return loss;
}

/* The number of the first step that has such an array as its result. */
static int first_to_make(sg_tensor *x, const char *array)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_plan(f, 1, &x);
    fclose(f);
    int step = 0;
    for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
        const char *out = strstr(at, "-> @");
        if (out && strstr(out, array)) {
            step = atoi(at);
            break;
        }
    }
    free(text);
    return step;
}

static result train(sg_open_options o)
{
    result r;
    o.threads = 1; /* of which scratch is part of the workspace */
    sg_context *g = sg_open_(o);
    sg_tensor *loss = training(g);
    r.workspace = sg_plan_infos(1, &loss).workspace;
    r.output = first_to_make(loss, "f32[16,70000]");
    r.layer = first_to_make(loss, "f32[16,16]");
    sg_eval(loss);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    memcpy(r.weight, sg_data(sg_find(g, "w0")), sizeof r.weight);
    sg_close(g);
    return r;
}

/* Two steps a layer, two of the loss, the logits and their gradient; the last is the one that goes
 * on from there to the layer below. */
enum { BACK = 2 * LAYERS + 5 };

/* The most is needed for the gradient of the output layer's weight: late, there were by then also
 * the gradients of the lower states, and of the lowest weight. */
Test(early, an_output_layer_goes_back_at_once)
{
    const result late = train((sg_open_options){.without = "early"}),
                 early = train((sg_open_options){0});
    cr_expect_eq(early.output, BACK + 1, "step %d", early.output);
    cr_expect(early.layer > BACK + 2 * LAYERS, "step %d", early.layer);
    cr_expect(late.output > BACK + 2 * LAYERS, "step %d", late.output);
    cr_expect_eq(late.workspace - early.workspace, (LAYERS - 1) * STATE + WEIGHT);
    cr_expect(LOGITS + LAYERS * STATE + STATE + OUTPUT <= early.workspace);
}

/* With a limit of memory nothing is too small: each layer goes back at once, too. */
Test(early, all_is_large_where_memory_is_limited)
{
    const result early = train((sg_open_options){.memory = SIZE_MAX});
    cr_expect_eq(early.output, BACK + 1, "step %d", early.output);
    cr_expect_eq(early.layer, BACK + 5, "step %d", early.layer);
}

Test(early, no_bit_depends_on_it)
{
    const result late = train((sg_open_options){.without = "early"});
    for (int threads = 1; threads <= 3; threads++)
        for (int limit = 0; limit < 2; limit++) {
            const result early =
                train((sg_open_options){.threads = threads, .memory = limit ? SIZE_MAX : 0});
            cr_expect(memcmp(late.weight, early.weight, sizeof late.weight) == 0, "%d threads",
                      threads);
        }
}
