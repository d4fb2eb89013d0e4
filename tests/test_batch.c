/* Automatic batching: programs that know one sentence or one tree run as if written for many, and
 * no bit shows it. */
#include "models/models.h"
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 5, WORDS = 11, CLASSES = 3, MOST = 40, LONGEST = 16 };

/* ---- programs: the losses of some sentences or trees, each for itself ------------------------ */

static const int32_t numbers[LONGEST] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};

/* Tags for the words of a sentence, by two layers of LSTM in both directions. */
static sg_tensor *sentence(sg_context *g, sg_tensor *table, int length)
{
    sg_tensor *x = sg_take(table, sg_input(g, SG_I32, SG_SHAPE(1, length), numbers));
    for (int l = 0; l < 2; l++) {
        int in = l ? 2 * SIZE : SIZE;
        sg_cell forward = sg_lstm(g, l ? "f1" : "f0", .in = in, .hidden = SIZE);
        sg_cell backward = sg_lstm(g, l ? "b1" : "b0", .in = in, .hidden = SIZE);
        x = sg_bidirectional(forward, backward, x, NULL, NULL);
    }
    sg_affine out = sg_linear(g, "out", .in = 2 * SIZE, .out = WORDS);
    sg_tensor *tags = sg_input(g, SG_I32, SG_SHAPE(1, length), numbers);
    return sg_sum(sg_cross_entropy(sg_apply(out, x), tags), SG_ALL_AXES, false);
}

/* C = I*U + Fl*cl + Fr*cr, H = O*tanh(C) */
static sg_state node(sg_affine cell, sg_state l, sg_state r)
{
    sg_tensor *z[5];
    sg_split(sg_apply(cell, sg_concat(-1, l.h, r.h)), -1, 5, z);
    sg_tensor *i = sg_sigmoid(z[0]), *fl = sg_sigmoid(z[1]), *fr = sg_sigmoid(z[2]);
    sg_tensor *o = sg_sigmoid(z[3]), *u = sg_tanh(z[4]);
    sg_tensor *c = sg_add(sg_add(sg_mul(i, u), sg_mul(fl, l.c)), sg_mul(fr, r.c));
    return (sg_state){.h = sg_mul(o, sg_tanh(c)), .c = c};
}

/* A class for a tree of so many leaves: leaning to the left, to the right, or balanced. */
static sg_tensor *tree(sg_context *g, sg_tensor *table, int leaves, int lean)
{
    sg_affine cell = sg_linear(g, "node", 2 * SIZE, 5 * SIZE);
    sg_affine out = sg_linear(g, "top", SIZE, CLASSES);
    sg_state s[2 * LONGEST];
    int n = 0;
    for (; n < leaves; n++) {
        sg_tensor *x = sg_take(table, sg_input(g, SG_I32, SG_SHAPE(1), &numbers[n]));
        s[n] = (sg_state){.h = sg_tanh(x), .c = x};
    }
    for (int done = 0; n < 2 * leaves - 1; n++) {
        int last = n > leaves ? n - 1 : 0, next = n > leaves ? n - leaves + 1 : 1;
        s[n] = lean == 0   ? node(cell, s[last], s[next])
               : lean == 1 ? node(cell, s[next], s[last])
                           : node(cell, s[done], s[done + 1]);
        done += 2;
    }
    sg_tensor *label = sg_input(g, SG_I32, SG_SHAPE(1), &(int32_t){lean});
    return sg_reshape(sg_cross_entropy(sg_apply(out, s[n - 1].h), label), SG_SCALAR);
}

/* As many steps as there are words, each of which looks at all of them by a concat score, what is
 * inside of which is computed again for gradients. */
static sg_tensor *attending(sg_context *g, sg_tensor *table, int length)
{
    sg_tensor *x = sg_take(table, sg_input(g, SG_I32, SG_SHAPE(1, length), numbers));
    sg_attention score = sg_make_attention(g, "score", SG_CONCAT, SIZE, SIZE, .hidden = SIZE);
    sg_affine cell = sg_linear(g, "cell", 2 * SIZE, SIZE), top = sg_linear(g, "top", SIZE, CLASSES);
    sg_memory words = sg_remember(&score, x, NULL);
    sg_tensor *h = sg_full(g, SG_F32, SG_SHAPE(1, SIZE), 0);
    for (int t = 0; t < length; t++)
        h = sg_tanh(sg_apply(cell, sg_concat(-1, h, sg_attend(&score, &words, h).context)));
    sg_tensor *label = sg_input(g, SG_I32, SG_SHAPE(1), &(int32_t){length % CLASSES});
    return sg_reshape(sg_cross_entropy(sg_apply(top, h), label), SG_SCALAR);
}

typedef struct program {
    const char *name;
    int count, order; /* of the gradient */
    enum { SENTENCES, TREES, ATTENDING } kind;
    int sizes[MOST];
} program;

static const program programs[] = {
    {"sentences", 9, 1, SENTENCES, {4, 7, 2, 5, 16, 7, 1, 3, 4}},
    {"alike", 4, 1, SENTENCES, {5, 5, 5, 5}},
    {"one", 1, 1, SENTENCES, {6}},
    {"curved sentences", 3, 2, SENTENCES, {3, 1, 4}},
    {"trees", 10, 1, TREES, {6, 9, 4, 2, 1, 7, 12, 5, 4, 3}},
    {"curved trees", 5, 2, TREES, {3, 5, 2, 4, 1}},
    {"attending", 6, 1, ATTENDING, {4, 6, 3, 6, 1, 5}},
    {"curved attending", 3, 2, ATTENDING, {3, 1, 3}},
};
enum { PROGRAMS = sizeof programs / sizeof *programs };

/* The sum of the losses, and its gradients by all parameters, or those of their squares. */
static int record(sg_context *g, const program *p, sg_tensor **x)
{
    sg_tensor *table = sg_embedding(g, "words", WORDS, SIZE), *losses[MOST], *params[MOST],
              *d[MOST];
    for (int i = 0; i < p->count; i++)
        losses[i] = p->kind == TREES       ? tree(g, table, p->sizes[i], i % 3)
                    : p->kind == ATTENDING ? attending(g, table, p->sizes[i])
                                           : sentence(g, table, p->sizes[i]);
    sg_tensor *loss = sg_add_n(p->count, losses);
    int n = 0;
    for (sg_tensor *q = NULL; (q = sg_next_param(g, q, false));)
        params[n++] = q;
    x[n] = loss;
    sg_grad(loss, n, params, x);
    for (int i = 0; p->order > 1 && i < n; i++)
        d[i] = sg_sum(sg_square(x[i]), SG_ALL_AXES, false);
    if (p->order > 1)
        sg_grad(sg_add_n(n, d), n, params, x);
    return n + 1;
}

/* ---- same bits ------------------------------------------------------------------------------- */

static size_t bytes_of(const sg_tensor *x)
{
    return (size_t)sg_size(x) * sizeof(float);
}

Test(batch, changes_no_bit)
{
    for (int k = 0; k < PROGRAMS; k++) {
        sg_context *g = sg_open(.without = "batch");
        sg_tensor *x[MOST], *y[MOST];
        int n = record(g, &programs[k], x);
        cr_assert(sg_eval_(n, x) == SG_OK, "%s: %s", programs[k].name, sg_errmsg(g));
        for (int threads = 1; threads <= 3; threads++) {
            sg_context *h = sg_open(.threads = threads);
            record(h, &programs[k], y);
            cr_assert(sg_eval_(n, y) == SG_OK, "%s: %s", programs[k].name, sg_errmsg(h));
            for (int i = 0; i < n; i++)
                cr_expect(memcmp(sg_data(x[i]), sg_data(y[i]), bytes_of(x[i])) == 0,
                          "%s, %d threads: result %d of %d differs", programs[k].name, threads, i,
                          n);
            sg_close(h);
        }
        sg_close(g);
    }
}

/* Losses that are asked for by name, and some of them alone. */
Test(batch, changes_no_bit_of_what_is_asked_for_alone)
{
    float value[2][LONGEST];
    for (int k = 0; k < 2; k++) {
        sg_context *g = sg_open(.seed = 3);
        sg_tensor *table = sg_embedding(g, "words", WORDS, SIZE), *x[LONGEST];
        for (int i = 0; i < LONGEST; i++)
            x[i] = sentence(g, table, 1 + i % 5);
        if (k == 0)
            cr_assert(sg_eval_(LONGEST, x) == SG_OK, "%s", sg_errmsg(g));
        for (int i = 0; i < LONGEST; i++)
            value[k][i] = (float)sg_item(x[i]);
        sg_close(g);
    }
    cr_expect(memcmp(value[0], value[1], sizeof value[0]) == 0);
}

/* ---- what it is for -------------------------------------------------------------------------- */

static sg_plan_info infos_of(const program *p, sg_open_options o)
{
    sg_context *g = sg_open_(o);
    sg_tensor *x[MOST];
    int n = record(g, p, x);
    sg_plan_info i = sg_plan_infos(n, x);
    cr_assert(sg_ok(g), "%s: %s", p->name, sg_errmsg(g));
    sg_close(g);
    return i;
}

static sg_plan_info infos(const program *p, const char *without)
{
    return infos_of(p, (sg_open_options){.without = without});
}

/* As many products as the longest sentence has alone, and hardly more steps. */
Test(batch, of_sentences_takes_the_steps_of_one)
{
    program many = {"many", 24, 1, SENTENCES, {0}}, one = {"one", 1, 1, SENTENCES, {LONGEST}};
    for (int i = 0; i < many.count; i++)
        many.sizes[i] = 2 + (i * 7) % (LONGEST - 1);
    sg_plan_info a = infos(&many, NULL), b = infos(&one, NULL), c = infos(&many, "batch");
    cr_expect(a.products == b.products, "%d products, not %d", (int)a.products, (int)b.products);
    cr_expect(a.steps < c.steps, "%d steps, not %d; %d without", (int)a.steps, (int)b.steps,
              (int)c.steps);
}

/* What is joined is not computed again, unless that is asked for by a limit of memory. */
Test(batch, of_checkpoints_keeps_what_is_inside)
{
    program many = {"many", 8, 1, ATTENDING, {6, 6, 5, 6, 4, 6, 6, 3}};
    sg_plan_info a = infos(&many, NULL), b = infos(&many, "batch");
    cr_expect(a.checkpoints == b.checkpoints && b.checkpoints > 0);
    cr_expect(a.recomputed == 0 && b.recomputed == b.checkpoints);
    cr_expect(a.steps < b.steps / 2, "%d steps, not %d", (int)a.steps, (int)b.steps);
    sg_plan_info d = infos_of(&many, (sg_open_options){.memory = SIZE_MAX});
    cr_expect(d.recomputed == 0);
    sg_context *g = sg_open(.memory = d.workspace - 1);
    sg_tensor *x[MOST];
    int n = record(g, &many, x);
    sg_plan_info c = sg_plan_infos(n, x);
    cr_expect(!sg_ok(g) || (c.recomputed > 0 && c.workspace < d.workspace), "%d recomputed",
              (int)c.recomputed);
    sg_close(g);
}

/* A product forward and one backward for every level of the highest tree. */
Test(batch, of_trees_takes_the_steps_of_levels)
{
    program many = {"many", 24, 1, TREES, {0}}, one = {"one", 1, 1, TREES, {LONGEST}};
    for (int i = 0; i < many.count; i++)
        many.sizes[i] = 2 + (i * 7) % (LONGEST - 1);
    sg_plan_info a = infos(&many, NULL), b = infos(&one, NULL), c = infos(&many, "batch");
    cr_expect(a.products <= b.products, "%d products, not %d", (int)a.products, (int)b.products);
    cr_expect(a.steps < c.steps, "%d steps, not %d; %d without", (int)a.steps, (int)b.steps,
              (int)c.steps);
}

static sg_tensor *mix(sg_tensor *x, sg_tensor *y, double part)
{
    return sg_add(sg_mul(x, sg_like(x, 1 - part)), sg_mul(y, sg_like(y, part)));
}

/* Steps for the losses of so many chains by some weights, and for new weights, as Adam's. */
static int64_t steps_of_training(int chains, bool updates)
{
    enum { WEIGHTS = 6, LARGE = 132, ROUNDS = 2 };
    sg_context *g = sg_open();
    sg_tensor *w[WEIGHTS], *d[WEIGHTS], *losses[MOST];
    for (int k = 0; k < WEIGHTS; k++)
        w[k] = sg_param(g, (char[]){(char)('a' + k), 0},
                        SG_SHAPE(LARGE + k, LARGE + (k + 1) % WEIGHTS), SG_UNIFORM);
    for (int i = 0; i < chains; i++) {
        sg_tensor *h = sg_full(g, SG_F32, SG_SHAPE(1, LARGE), 0.1 * i);
        for (int k = 0; k < ROUNDS * WEIGHTS; k++)
            h = sg_tanh(sg_matmul(h, w[k % WEIGHTS]));
        losses[i] = sg_sum(h, SG_ALL_AXES, false);
    }
    sg_grad(sg_add_n(chains, losses), WEIGHTS, w, d);
    sg_tensor *norm = sg_clip_norm(WEIGHTS, d, 1);
    for (int k = 0; updates && k < WEIGHTS; k++) {
        sg_tensor *m =
            sg_buffer(g, (char[]){'m', (char)('a' + k), 0}, SG_F32, sg_shape_of(w[k]), 0);
        sg_tensor *v =
            sg_buffer(g, (char[]){'v', (char)('a' + k), 0}, SG_F32, sg_shape_of(w[k]), 0);
        sg_tensor *mean = mix(m, d[k], 0.1), *square = mix(v, sg_square(d[k]), 0.01);
        sg_assign(w[k], sg_sub(w[k], sg_div(mean, sg_sqrt(square))));
        sg_assign(m, mean);
        sg_assign(v, square);
    }
    sg_plan_info i = sg_plan_infos(1, &norm);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
    return i.steps;
}

/* What follows the last product is done for one weight after the other, however many chains. */
Test(batch, leaves_updates_as_they_are)
{
    int64_t many = steps_of_training(8, true) - steps_of_training(8, false);
    int64_t one = steps_of_training(1, true) - steps_of_training(1, false);
    cr_expect(many == one, "updates take %d steps, not %d", (int)many, (int)one);
}

/* What is together, and what is not, is told. */
Test(batch, is_told)
{
    char *text = NULL;
    size_t size = 0;
    sg_context *g = sg_open();
    sg_tensor *x[MOST];
    int n = record(g, &programs[4], x), joined = 0, all = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_batches(f, n, x);
    fclose(f);
    cr_assert(sg_ok(g) && sscanf(text, "batches: %d of %d items", &joined, &all) == 2, "%s", text);
    cr_expect(joined > all / 2 && joined < all, "%s", text);
    cr_expect(strstr(text, "matmul        [1,10], [10,25] -> [1,25]\n"), "%s", text);
    cr_expect(strstr(text, "alone: no other stands in its place"), "%s", text);
    free(text);
    sg_close(g);
}

static void expect_told(int chains, const char *want)
{
    enum { LARGE = 20000 };
    char *text = NULL;
    size_t size = 0;
    sg_context *g = sg_open();
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(2, 2), SG_UNIFORM), *x[MOST];
    for (int i = 0; i < chains; i++) {
        sg_tensor *h = sg_full(g, SG_F32, SG_SHAPE(1, 2), i);
        for (int k = 0; k < 2; k++)
            h = sg_tanh(sg_matmul(h, w));
        x[i] = sg_sum(sg_concat(0, h, sg_exp(h)), SG_ALL_AXES, false);
    }
    sg_tensor *large = sg_input(g, SG_F32, SG_SHAPE(LARGE), (float[LARGE]){0});
    x[chains] = sg_sum(sg_exp(large), SG_ALL_AXES, false);
    FILE *f = open_memstream(&text, &size);
    sg_dump_batches(f, chains + 1, x);
    fclose(f);
    cr_expect(sg_ok(g) && strcmp(text, want) == 0, "%s", text);
    free(text);
    sg_close(g);
}

Test(batch, is_told_word_for_word)
{
    expect_told(3,
                "batches: 12 of 26 items in 4 groups\n"
                "       3  broadcast_to  [] -> [1,2]\n"
                "       3  matmul        [1,2], [2,2] -> [1,2]\n"
                "       3  tanh          [1,2] -> [1,2]\n"
                "       3  matmul        [1,2], [2,2] -> [1,2]\n"
                "       0  alone: cannot be computed by rows\n"
                "       1  alone: large enough: 1 exp\n"
                "      13  alone: no other stands in its place: 3 tanh 3 exp 3 concat 4 sum_to\n");
    expect_told(1, "batches: 0 of 10 items in 0 groups; too few products among them: all is left "
                   "as it was written\n"
                   "       0  alone: cannot be computed by rows\n"
                   "       1  alone: large enough: 1 exp\n"
                   "       9  alone: no other stands in its place: 1 broadcast_to 2 matmul 2 tanh "
                   "1 exp 1 concat 2 sum_to\n");
}
