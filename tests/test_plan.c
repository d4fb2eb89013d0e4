/*
 * Plans of six small models against recorded dumps: equal under every compiler, and a change of
 * them is seen. What each pass of the planner does is told by what the plans are without it, which
 * is recorded too, in tests/golden/counts. SEQGRAD_UPDATE_GOLDEN=1 in the environment records all
 * anew, with a release build: where threads meet is other than that in a debug build, which has
 * even small steps cut.
 */
#include "optim/optim.h"
#include "tests/golden_models.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#ifdef NDEBUG
enum { RELEASE = true };
#else
enum { RELEASE = false };
#endif

/* Ends each line of a text after so many columns, if it is longer. */
static void cut_lines(char *text, size_t columns)
{
    char *to = text;
    for (size_t n = 0; *text; text++) {
        n = *text == '\n' ? 0 : n + 1;
        if (n <= columns)
            *to++ = *text;
    }
    *to = 0;
}

/* Compares a text with so many columns of a recorded one, or records it. */
static void expect_recorded(const char *name, const char *text, size_t columns)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s", SG_SOURCE_DIR, name);
    if (getenv("SEQGRAD_UPDATE_GOLDEN")) {
        FILE *f = fopen(path, "wb");
        cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
    }
    char *recorded = calloc(1, 1 << 20);
    FILE *f = fopen(path, "rb");
    cr_expect(f && fread(recorded, 1, (1 << 20) - 1, f) > 0, "no %s", path);
    if (f)
        fclose(f);
    cut_lines(recorded, columns);
    cr_expect(strcmp(recorded, text) == 0, "%s is not as recorded:\n%s", name, text);
    free(recorded);
}

/* Instruction sets differ in scratch. */
static sg_context *open(sg_open_options o, int threads)
{
    o.isa = "generic";
    o.threads = threads;
    return sg_open_(o);
}

static sg_context *open_plain(void)
{
    return open((sg_open_options){0}, 1);
}

static char *dump(sg_tensor *x)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_plan(f, 1, &x);
    fclose(f);
    cr_assert(sg_ok(sg_context_of(x)), "%s", sg_errmsg(sg_context_of(x)));
    return text;
}

Test(plan, is_as_recorded)
{
    for (int m = 0; m < GOLDEN_MODELS; m++) {
        sg_context *g = open_plain();
        char name[64], *text = dump(golden_training(g, &golden_models[m], 1));
        snprintf(name, sizeof name, "%s.plan", golden_models[m].name);
        expect_recorded(name, text, SIZE_MAX);
        free(text);
        sg_close(g);
    }
}

/* ---- what each pass does --------------------------------------------------------------------- */

enum {
    ALL,
    NO_REWRITE,
    NO_BATCH,
    NO_SPARSE,
    NO_LAYOUT,
    NO_FUSE,
    NO_ASSIGN,
    NO_SPLIT,
    NO_PREPARE,
    EARLY,
    WAYS
};
static const struct way {
    const char *name;
    sg_open_options o;
} ways[WAYS] = {
    [NO_REWRITE] = {"without rewrite", {.without = "rewrite"}},
    [NO_BATCH] = {"without batch", {.without = "batch"}},
    [NO_SPARSE] = {"without sparse", {.without = "sparse"}},
    [NO_LAYOUT] = {"without layout", {.without = "layout"}},
    [NO_FUSE] = {"without fuse", {.without = "fuse"}},
    [NO_ASSIGN] = {"without assign", {.without = "assign"}},
    [NO_SPLIT] = {"without split", {.without = "split"}},
    [NO_PREPARE] = {"without prepare", {.without = "prepare"}},
    [EARLY] = {"early at any size", {.memory = SIZE_MAX}}, /* nothing here is large */
};

/* Of plans with all passes, or in another way. */
typedef struct counts {
    sg_plan_info i;
    int meetings; /* of two threads, where the model is wide */
    int assigned; /* parameters that get a new value, */
    int in_place; /* where they are, */
    int rows;     /* and in some rows only */
} counts;

static int occurrences(const char *text, const char *words)
{
    int n = 0;
    for (; (text = strstr(text, words)); text++)
        n++;
    return n;
}

static counts count(const golden_model *m, sg_open_options o)
{
    enum { WIDE = 32 };
    sg_context *g = open(o, 1), *h = open(o, 2);
    sg_tensor *x = golden_training(g, m, 1), *wide = golden_training(h, m, WIDE);
    counts c = {sg_plan_infos(1, &x), (int)sg_plan_infos(1, &wide).meetings};
    char *text = dump(x);
    c.assigned = occurrences(text, "\nassigned value");
    for (const char *at = text; (at = strstr(at, "\nassigned value")); at++)
        c.in_place += strncmp(strstr(at, " in "), " in leaf", 8) == 0;
    c.rows = occurrences(text, "update_rows");
    cr_assert(sg_ok(h), "%s", sg_errmsg(h));
    free(text);
    sg_close(g);
    sg_close(h);
    return c;
}

static void print_counts(FILE *f, const char *name, const char *way, const counts *c)
{
    char line[40];
    snprintf(line, sizeof line, "%s%s", way ? "  " : "", way ? way : name);
    fprintf(f, "%-19s %6d %9d %13d %9d %7d %9d %10d", line, (int)c->i.steps, (int)c->i.programs,
            (int)c->i.instructions, (int)c->i.products, (int)c->i.copies, c->in_place,
            (int)c->i.workspace);
    if (RELEASE)
        fprintf(f, " %9d", c->meetings);
    fputc('\n', f);
}

/*
 * By hand. Forward, backward to what is no input or first state, and backward to weights:
 *
 *   regression   2, 1, 2
 *   lstm         x Wx of all steps 1, 0, 1; h Wh 3, 2, 1 with the steps' 2 further ones joined
 *   tagger       the same in both directions, with 1 more to the embeddings; the labels' 1, 1, 1
 *   transformer  q k v, scores, contexts, their way out, wide and narrow: 6, 6, 6
 *   tree         leaves 1 of three that are batched, 0, 3; nodes 2, 2, 1 with 1 joined
 */
static const struct expected {
    const char *name;
    int products, joined; /* calls, and how many more there are without rewriting */
    int copies, rows;     /* instructions; tables that are updated by rows */
    int meetings;         /* at most */
} expected[GOLDEN_MODELS] = {
    {"regression", 5, 0, 0, 0, 8},    {"lstm", 8, 2, 3, 0, 12},
    {"tagger", 21, 4, 7, 1, 24},      {"translation", 51, 7, 29, 2, 48},
    {"transformer", 18, 0, 5, 0, 24}, {"tree", 9, 1, 5, 0, 24},
};

static void check(const struct expected *e, const counts *c)
{
    const counts *all = &c[ALL];
    cr_expect(all->i.products == e->products, "%s: products", e->name);
    cr_expect(c[NO_REWRITE].i.products == e->products + e->joined, "%s: more products", e->name);
    cr_expect(all->i.copies == e->copies, "%s: copies", e->name);
    cr_expect(c[NO_LAYOUT].i.copies > e->copies || !e->copies, "%s: more copies", e->name);
    cr_expect(2 * all->i.programs <= c[NO_FUSE].i.programs, "%s: programs", e->name);
    cr_expect(c[NO_FUSE].i.programs == c[NO_FUSE].i.instructions, "%s: one by one", e->name);
    cr_expect(all->in_place >= all->assigned - 1, "%s: in place", e->name);
    cr_expect(c[NO_ASSIGN].in_place == e->rows, "%s: beside", e->name);
    cr_expect(all->rows == e->rows && c[NO_SPARSE].rows == 0, "%s: rows", e->name);
    cr_expect(all->meetings <= e->meetings, "%s: %d meetings", e->name, all->meetings);
    cr_expect(c[NO_SPLIT].meetings == 0, "%s: one thread", e->name);
    cr_expect(c[EARLY].i.workspace <= all->i.workspace, "%s: more at once", e->name);
}

Test(plan, each_pass_does_its_part)
{
    enum { COLUMNS = 89 }; /* without meetings */
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    fprintf(f, "%-19s %6s %9s %13s %9s %7s %9s %10s%s\n", "", "steps", "programs", "instructions",
            "products", "copies", "in place", "workspace", RELEASE ? "  meetings" : "");
    for (int m = 0; m < GOLDEN_MODELS; m++) {
        counts c[WAYS];
        for (int k = 0; k < WAYS; k++) {
            c[k] = count(&golden_models[m], ways[k].o);
            print_counts(f, golden_models[m].name, ways[k].name, &c[k]);
        }
        cr_assert_str_eq(golden_models[m].name, expected[m].name);
        check(&expected[m], c);
    }
    fclose(f);
    expect_recorded("counts", text, RELEASE ? SIZE_MAX : COLUMNS);
    free(text);
}

/* A step of an LSTM: what enters the gates is a program over all four of them, and all that is
 * computed of that is another, forward and backward. */
Test(plan, a_cell_is_one_program)
{
    enum { BATCH = 2, H = 4 };
    sg_context *g = open_plain();
    sg_cell cell = sg_lstm(g, "cell", .in = 3, .hidden = H);
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(BATCH, 3), NULL);
    sg_tensor *h = sg_input(g, SG_F32, SG_SHAPE(BATCH, H), NULL);
    sg_state s = sg_cell_step(&cell, x, (sg_state){h, h});
    sg_plan_info i = sg_plan_infos(2, (sg_tensor *[]){s.h, s.c});
    cr_expect(i.products == 2 && i.programs == 2 && i.copies == 0, "%d programs", (int)i.programs);
    sg_tensor *d[2];
    sg_vjp(s.h, h, 2, (sg_tensor *[]){h, cell.wh}, d);
    i = sg_plan_infos(4, (sg_tensor *[]){s.h, s.c, d[0], d[1]});
    cr_expect(i.products == 4 && i.programs == 3 && i.copies == 0, "%d programs", (int)i.programs);
    sg_close(g);
}

/* The gradient by the logits is where the logits were. */
Test(plan, a_row_may_be_overwritten)
{
    enum { ROWS = 64, CLASSES = 500 };
    sg_context *g = open_plain();
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(3, CLASSES)), *x, *d;
    x = sg_input(g, SG_F32, SG_SHAPE(ROWS, 3), NULL);
    sg_tensor *labels = sg_input(g, SG_I32, SG_SHAPE(ROWS), NULL);
    sg_grad(sg_mean(sg_cross_entropy(sg_matmul(x, w), labels), 0, false), 1, &w, &d);
    size_t workspace = sg_plan_infos(1, &d).workspace, logits = ROWS * CLASSES * sizeof(float);
    cr_expect(workspace < 3 * logits / 2, "%zu bytes for logits of %zu", workspace, logits);
    sg_close(g);
}

/* What is read by index, and may fail, comes later than the gradient of w. */
Test(plan, parameters_are_updated_once_nothing_can_fail)
{
    sg_context *g = open_plain();
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(3, 3)), *table = sg_param(g, "t", SG_SHAPE(4, 3)),
              *d[2];
    sg_tensor *i = sg_input(g, SG_I32, SG_SHAPE(5), NULL);
    sg_tensor *loss = sg_sum(sg_square(sg_matmul(sg_take(table, i), w)), SG_ALL_AXES, false);
    sg_grad(loss, 2, (sg_tensor *[]){w, table}, d);
    sg_assign(w, sg_sub(w, d[0]));
    sg_assign(table, sg_sub(table, d[1]));
    char *text = dump(loss);
    cr_expect_eq(occurrences(text, " in leaf"), 2, "%s", text);
    free(text);
    sg_close(g);
}

/* ---- regions --------------------------------------------------------------------------------- */

enum { LAYERS = 2 };

/* How often two threads meet, by the plan for this loss and the gradients of all parameters. */
static int meetings(sg_context *g, sg_tensor *loss)
{
    sg_tensor *xs[64], *d[64];
    int n = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false)) && n < 63;)
        xs[n++] = p;
    sg_grad(loss, n, xs, d);
    d[n] = loss;
    int count = (int)sg_plan_infos(n + 1, d).meetings;
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
    return count;
}

/* A step of a language model of so much time. */
static int meetings_of_layers(int time, const char *without)
{
    enum { BATCH = 20, WORDS = 1000, UNITS = 200 };
    sg_context *g = sg_open(.threads = 2, .without = without);
    sg_tensor *table = sg_embedding(g, "words", .count = WORDS, .size = UNITS);
    sg_tensor *ids = sg_input(g, SG_I32, SG_SHAPE(BATCH, time), NULL);
    sg_tensor *x = sg_take(table, ids);
    for (int i = 0; i < LAYERS; i++)
        x = sg_unroll(sg_lstm(g, i ? "second" : "first", .in = UNITS, .hidden = UNITS), x);
    sg_affine out = sg_linear(g, "out", .in = UNITS, .out = WORDS);
    return meetings(g, sg_mean(sg_cross_entropy(sg_apply(out, x), ids), SG_ALL_AXES, false));
}

/* Rows of the batch go through a layer, forward and backward, without a meeting. */
Test(plan, a_layer_is_one_region)
{
    enum { MOST = 12 }; /* that they are a few more or less is the work of placement */
    int few = meetings_of_layers(5, "prepare"), many = meetings_of_layers(25, "prepare");
    cr_expect(few <= MOST && many <= MOST,
              "threads meet %d times in 5 steps of time, %d times in 25", few, many);
    /* and for a layer's packed weights: twice where a debug build has even small steps cut */
    few = meetings_of_layers(5, ""), many = meetings_of_layers(25, "");
    cr_expect(few <= MOST + 2 * LAYERS && many <= MOST + 2 * LAYERS,
              "with packed weights %d times in 5 steps of time, %d times in 25", few, many);
}

/* Sentences of two lengths, one after the other: later steps have fewer rows than those before, and
 * are cut elsewhere. Threads meet where a state is needed that the other one has, but not since an
 * array lies where another was. */
Test(plan, levels_of_sentences_meet_for_states_alone)
{
    enum { SENTENCES = 16, SHORTER = 8, WORDS = 100, UNITS = 64, TIME = 20 };
    sg_context *g = sg_open(.threads = 2);
    sg_tensor *table = sg_embedding(g, "words", .count = WORDS, .size = UNITS);
    sg_cell cell = sg_lstm(g, "cell", .in = UNITS, .hidden = UNITS);
    sg_tensor *losses[SENTENCES];
    for (int i = 0; i < SENTENCES; i++) {
        sg_tensor *ids = sg_input(g, SG_I32, SG_SHAPE(1, i < SHORTER ? TIME : TIME - 8), NULL);
        losses[i] = sg_sum(sg_unroll(cell, sg_take(table, ids)), SG_ALL_AXES, false);
    }
    int n = meetings(g, sg_add_n(SENTENCES, losses));
#ifdef NDEBUG /* else they meet for the smallest step */
    cr_expect(n <= 30, "threads meet %d times", n);
#else
    cr_expect(n > 2);
#endif
}

/* ---- chains ---------------------------------------------------------------------------------- */

static int words_of_sentence; /* of what follows */

/* One sentence or a few, read in both directions: too few rows for two threads to share. */
static sg_tensor *directions(sg_context *g, int sentences)
{
    enum { WORD = 16, UNITS = 64 };
    sg_cell there = sg_lstm(g, "there", WORD, UNITS), back = sg_lstm(g, "back", WORD, UNITS);
    sg_shape shape = SG_SHAPE(sentences, words_of_sentence, WORD);
    sg_tensor *h = sg_bidirectional(there, back, sg_input(g, SG_F32, shape, NULL), NULL, NULL);
    return sg_sum(sg_square(h), SG_ALL_AXES, false);
}

static int meetings_of_directions(int sentences, int words)
{
    sg_context *g = sg_open(.threads = 2);
    words_of_sentence = words;
    return meetings(g, directions(g, sentences));
}

/* Each thread goes through one of them, forward and backward; a debug build meets for memory, too.
 */
Test(plan, directions_are_chains)
{
    enum { SHORT = 5, LONG = 25, MOST = RELEASE ? 20 : 6 * LONG };
    for (int sentences = 1; sentences <= 4; sentences += 3) {
        int few = meetings_of_directions(sentences, SHORT);
        int many = meetings_of_directions(sentences, LONG);
        cr_expect(few <= MOST && many <= MOST, "%d sentences: threads meet %d and %d times",
                  sentences, few, many);
    }
}

Test(plan, owners_are_as_recorded, .disabled = !RELEASE)
{
    const golden_model m = {"directions", directions};
    sg_context *g = open((sg_open_options){0}, 2);
    words_of_sentence = 3;
    char *text = dump(golden_training(g, &m, 1));
    expect_recorded("directions.plan", text, SIZE_MAX);
    free(text);
    sg_close(g);
}
