/* See program.h. */
#define _DEFAULT_SOURCE /* access, and signals that interrupt no reading or writing */
#include "examples/program.h"
#include "examples/profile.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const program_optimizers[] = {"sgd", "adam", NULL};
const char *const program_schedules[] = {"constant", "cosine", "decay", "inverse-sqrt", NULL};
const char *const program_vectors_formats[] = {"glove", "word2vec", "binary", NULL};

/* ---- commands ------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

/* The first Ctrl-C asks; the next one ends the program, as it does where nobody looks. */
static void interrupt(int number)
{
    static const char told[] = "\nends when it can; Ctrl-C again: at once 再按一次立即退出\n";
    interrupted = 1;
    signal(number, SIG_DFL);
    if (write(STDERR_FILENO, told, sizeof told - 1) < 0)
        return;
}

bool program_interrupted(void)
{
    static bool asked;
    if (!asked)
        signal(SIGINT, interrupt);
    asked = true;
    return interrupted;
}

/* What went wrong beside the model, such as the writing of a curve: told at the end, when the model
 * is saved. */
static char beside[512];

static void fail_beside(const char *format, ...)
{
    va_list a;
    va_start(a, format);
    if (!*beside)
        vsnprintf(beside, sizeof beside, format, a);
    va_end(a);
}

int program_main(int argc, char **argv, const program *p)
{
    char usage[256];
    int n = snprintf(usage, sizeof usage, "%s", p->name);
    for (const command *c = p->commands; c->name; c++)
        if (*c->name)
            n += snprintf(usage + n, sizeof usage - (size_t)n, "%s%s",
                          c == p->commands + 1 ? " [" : " | ", c->name);
    snprintf(usage + n, sizeof usage - (size_t)n, "%s",
             p->commands[1].name ? "] [options]" : " [options]");
    bool given = argc > 1 && argv[1][0] != '-';
    const char *name = given ? argv[1] : "";
    int rest = argc - given,
        status = options_read(&rest, argv + given, p->options, usage, p->about);
    if (status >= 0)
        return status;
    const command *c = p->commands;
    while (c->name && strcmp(c->name, name) != 0)
        c++;
    if (rest > 1 || !c->name) {
        fprintf(stderr, "%s: %s \"%s\"; see %s --help\n", p->name,
                c->name ? "not understood:" : "no command", c->name ? argv[given + 1] : name,
                p->name);
        return 2;
    }
    sg_context *g = sg_open(.seed = (uint64_t)p->t->seed, .threads = p->t->threads);
    if (sg_ok(g))
        c->run(g, p);
    if (*beside)
        sg_fail(g, SG_IO, "%s", beside);
    if (fflush(stdout) != 0 || ferror(stdout))
        sg_fail(g, SG_IO, "what is printed could not be written");
    bool ok = sg_ok(g);
    if (!ok)
        fprintf(stderr, "%s: %s\n", p->name, sg_errmsg(g));
    sg_close(g);
    return ok ? 0 : 1;
}

void program_close_part(sg_context *g, sg_context *part)
{
    if (!sg_ok(part))
        sg_fail(g, sg_error(part), "%s", sg_errmsg(part));
    sg_close(part);
}

FILE *program_open_log(sg_context *g, const training *t)
{
    FILE *f = t->log ? fopen(t->log, "w") : NULL;
    if (t->log && !f)
        sg_fail(g, SG_IO, "%s: could not be opened", t->log);
    return f;
}

void program_close_log(sg_context *g, const training *t, FILE *f)
{
    if (f && fclose(f) != 0)
        sg_fail(g, SG_IO, "%s: could not be written", t->log);
}

/* ---- the file of the model ------------------------------------------------------------------ */

enum { MODEL_OPTIONS = 64 };

/* "--name=value" of an option as it stands. */
static json_t *written(const option *o)
{
    if (o->integer)
        return json_sprintf("--%s=%d", o->name, *o->integer);
    if (o->number)
        return json_sprintf("--%s=%.17g", o->name, *o->number);
    if (o->choice)
        return json_sprintf("--%s=%s", o->name, o->choices[*o->choice]);
    if (o->flag)
        return json_sprintf("--%s%s", *o->flag ? "" : "no-", o->name);
    return NULL;
}

static void keep(sg_context *g, const option *o)
{
    char text[16] = "";
    if (o->integer)
        snprintf(text, sizeof text, "%d", *o->integer);
    sg_set_meta(g, o->name, o->integer ? text : *o->text);
}

static void recall(sg_context *g, const option *o, const char *file)
{
    const char *text = *o->given ? NULL : sg_meta(g, o->name);
    if (text && !o->integer) {
        *o->text = text;
    } else if (text) {
        *o->integer = atoi(text);
        if (*o->integer < o->low || *o->integer > o->high)
            sg_fail(g, SG_BAD_FILE, "%s: its %s is %s", file, o->name, text);
    }
}

/* The rows below "Model", ended by {0}: all that the file of a model may set. */
static void model_options(const option *all, option rows[MODEL_OPTIONS + 1])
{
    int n = 0;
    bool model = false;
    for (const option *o = all; o->name || o->help; o++) {
        if (!o->name)
            model = strcmp(o->help, "Model") == 0;
        else if (model && !o->text && n < MODEL_OPTIONS)
            rows[n++] = *o;
    }
    rows[n] = (option){0};
}

void program_save(sg_context *g, const program *p)
{
    json_t *list = json_array();
    option model[MODEL_OPTIONS + 1];
    model_options(p->options, model);
    for (const option *o = model; o->name; o++)
        json_array_append_new(list, written(o));
    for (const option *o = p->options; o->name || o->help; o++)
        if (o->given)
            keep(g, o);
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    if (!text)
        sg_fail(g, SG_NO_MEMORY, "%s: no memory to save", p->t->model);
    sg_set_meta(g, "program", p->name);
    sg_set_meta(g, "options", text ? text : "");
    free(text);
    if (sg_save(g, p->t->model) == SG_OK)
        fprintf(stderr, "saved 已保存: %s\n", p->t->model);
}

void program_load(sg_context *g, const program *p)
{
    char message[OPTIONS_MESSAGE], *argv[MODEL_OPTIONS + 2] = {"", NULL};
    int argc = 1;
    sg_load(g, p->t->model);
    const char *name = sg_meta(g, "program"), *text = sg_meta(g, "options");
    if (sg_ok(g) && (!name || strcmp(name, p->name) != 0 || !text))
        sg_fail(g, SG_BAD_FILE, "%s: is a model, but not of %s", p->t->model, p->name);
    json_t *list = sg_ok(g) ? json_loads(text, 0, NULL) : NULL, *item;
    size_t i;
    json_array_foreach(list, i, item) if (argc <= MODEL_OPTIONS && json_is_string(item))
        argv[argc++] = (char *)(uintptr_t)json_string_value(item);
    option model[MODEL_OPTIONS + 1];
    model_options(p->options, model);
    if (sg_ok(g) && (!list || options_parse(&argc, argv, model, message) != OPTIONS_READ))
        sg_fail(g, SG_BAD_FILE, "%s: %s", p->t->model, list ? message : "its options are damaged");
    for (const option *o = p->options; sg_ok(g) && (o->name || o->help); o++)
        if (o->given)
            recall(g, o, p->t->model);
    json_decref(list);
}

/* ---- data ----------------------------------------------------------------------------------- */

bool program_some(sg_context *g, const program *p, int64_t count)
{
    if (sg_ok(g) && count <= 0)
        sg_fail(g, SG_BAD_FILE, "%s: there is nothing to evaluate in it", p->t->test);
    return sg_ok(g);
}

int program_full(const sg_corpus *c)
{
    int n = 0;
    for (int i = 0; i < c->size; i++)
        n += *c->source[i] != '\0';
    return n;
}

bool program_given(sg_context *g, const char *path, const char *name)
{
    if (!path)
        sg_fail(g, SG_BAD_ARGUMENT, "a file is needed: --%s FILE", name);
    return path != NULL;
}

sg_corpus *program_lines(sg_context *g, const char *path, const char *name)
{
    program_given(g, path, name);
    /* Line by line with itself, since a file alone is read as columns. */
    return sg_corpus_read(g, path, path);
}

/* FNV-1a, folded to [0, 1). */
static double place_of(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return (double)(program_draw(&h) >> 11) * 0x1p-53;
}

program_split program_hold(sg_context *g, const sg_corpus *c, double share)
{
    size_t n = (size_t)c->size + 1;
    const char **text = malloc(2 * n * sizeof *text); /* sources from both ends, then targets */
    program_split s = {0};
    int train = 0, valid = 0;
    if (!text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d examples", c->size);
    for (int i = 0; text && i < c->size; i++) {
        bool held = place_of(c->source[i]) < share;
        size_t at = held ? (size_t)c->size - 1 - (size_t)valid++ : (size_t)train++;
        text[at] = c->source[i];
        text[n + at] = c->target[i];
    }
    size_t from = (size_t)train;
    s.train = sg_corpus_of(g, train, text, text ? text + n : NULL);
    s.valid = sg_corpus_of(g, valid, text ? text + from : NULL, text ? text + n + from : NULL);
    free(text);
    return s;
}

void program_split_free(program_split *s)
{
    sg_corpus_free(s->train);
    sg_corpus_free(s->valid);
}

program_split program_read(sg_context *g, const program *p, program_reader *read)
{
    const training *t = p->t;
    sg_corpus *all = read(g, p->settings, t->train, "train");
    program_split s = program_hold(g, all, t->valid ? 0 : t->hold);
    sg_corpus_free(all);
    if (t->valid) {
        sg_corpus_free(s.valid);
        s.valid = read(g, p->settings, t->valid, "valid");
    }
    return s;
}

uint64_t program_draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double program_uniform(uint64_t *state)
{
    return (double)(program_draw(state) >> 11) * 0x1p-53;
}

double program_normal(uint64_t *state) /* Box and Muller 1958 */
{
    double u = sqrt(-2 * log(1 - program_uniform(state)));
    return u * cos(2 * acos(-1) * program_uniform(state));
}

void program_shuffle(uint64_t *state, int n, int *x)
{
    for (int i = 0; i < n; i++) {
        int j = (int)(program_draw(state) % ((uint64_t)i + 1));
        x[i] = x[j];
        x[j] = i;
    }
}

/* ---- word vectors --------------------------------------------------------------------------- */

sg_vectors *program_vectors_open(sg_context *g, const program_vectors *o, int *size)
{
    sg_vectors *v = o->file ? sg_vectors_read(g, o->file, (sg_vectors_format)o->format) : NULL;
    if (o->freeze && !o->file)
        sg_fail(g, SG_BAD_ARGUMENT, "--freeze: that of the word vectors of --vectors FILE");
    if (v && sg_ok(g))
        *size = v->size;
    return v;
}

void program_vectors_use(sg_context *g, const program_vectors *o, sg_vectors *v,
                         const sg_vocabulary *words, sg_tensor *table, const char *name)
{
    int known = v && sg_ok(g) ? sg_vectors_fill(v, words, table) : 0;
    if (o->freeze)
        sg_freeze(g, name, true);
    if (v && sg_ok(g))
        fprintf(stderr, "%d of %d words have a vector in %s\n", known,
                sg_vocabulary_size(words) - SG_RESERVED, o->file);
    if (v)
        sg_vectors_free(v);
}

/* ---- training ------------------------------------------------------------------------------- */

/* Points of a curve. */
typedef struct curve {
    float *x, *y;
    int n, room;
} curve;

static void add_point(sg_context *g, curve *c, double x, double y)
{
    if (c->n == c->room) {
        int room = c->room ? 2 * c->room : 1024;
        float *p = realloc(c->x, (size_t)room * sizeof *p);
        c->x = p ? p : c->x;
        float *q = p ? realloc(c->y, (size_t)room * sizeof *q) : NULL;
        c->y = q ? q : c->y;
        if (!q) {
            sg_fail(g, SG_NO_MEMORY, "no memory for a curve of %d points", room);
            return;
        }
        c->room = room;
    }
    c->x[c->n] = (float)x;
    c->y[c->n++] = (float)y;
}

typedef struct run {
    sg_context *g;
    const training *t;
    lesson l;
    sg_optimizer optimizer;
    progress p;
    curve train, valid;
    int64_t steps;
} run;

static sg_optimizer make_optimizer(sg_context *g, const training *t, int64_t steps)
{
    static const sg_optimizer_kind kinds[] = {SG_SGD, SG_ADAM};
    static const sg_schedule_kind falls[] = {SG_CONSTANT_RATE, SG_COSINE, SG_CONSTANT_RATE,
                                             SG_INVERSE_SQRT};
    sg_schedule schedule = {falls[t->schedule], .period = (double)steps * t->epochs - t->warmup,
                            .warmup = t->warmup};
    return sg_make_optimizer((sg_optimizer_options){.g = g,
                                                    .kind = kinds[t->optimizer],
                                                    .rate = t->lr,
                                                    .clip_norm = t->clip,
                                                    .lazy = t->lazy,
                                                    .schedule = schedule});
}

/* One epoch; false at Ctrl-C or after an error. */
static bool epoch(run *r, int e)
{
    sg_context *g = r->g;
    const training *t = r->t;
    program_loss l = {0};
    if (t->schedule == PROGRAM_DECAY)
        r->optimizer.o.rate = t->lr * pow(t->decay, e > t->decay_after ? e - t->decay_after : 0);
    sg_train(g, true);
    while (!program_interrupted() && sg_ok(g) && r->l.next(r->l.user, &l)) {
        if (sg_step(&r->optimizer, l.loss) == SG_OK) {
            double mean = sg_item(l.loss) / (l.factor > 0 ? l.factor : 1);
            progress_step(&r->p, mean, l.tokens);
            add_point(g, &r->train, (double)++r->steps, mean);
        }
        sg_reset(g);
        l = (program_loss){0};
    }
    sg_train(g, false);
    return sg_ok(g) && !interrupted;
}

static void draw_curves(run *r)
{
    const sg_curve curves[] = {{"train", r->train.n, r->train.x, r->train.y},
                               {r->l.score_name, r->valid.n, r->valid.x, r->valid.y}};
    if (r->t->plot && r->train.n) {
        sg_context *g = sg_open(); /* its own: an error does not keep the model from being saved */
        sg_plot_curves(g, r->valid.n ? 2 : 1, curves, .x_name = "step", .y_name = "loss",
                       .svg = r->t->plot);
        if (!sg_ok(g))
            fail_beside("%s", sg_errmsg(g));
        sg_close(g);
    }
    curve *both[] = {&r->train, &r->valid};
    for (int i = 0; i < 2; i++) {
        free(both[i]->x);
        free(both[i]->y);
    }
}

/* What cannot be written is told before hours of training, and not after them. */
static void expect_writable(sg_context *g, const char *path, bool regular)
{
    struct stat is;
    if (regular && stat(path, &is) == 0 && !S_ISREG(is.st_mode))
        sg_fail(g, SG_IO, "%s: cannot be written: it is not a regular file", path);
    char folder[4096] = ".";
    const char *end = strrchr(path, '/');
    FILE *f = fopen(path, "r+"); /* it stays as it is */
    if (f) {
        fclose(f);
        return;
    }
    if (end)
        snprintf(folder, sizeof folder, "%.*s", (int)(end - path) + 1, path);
    if (errno != ENOENT || access(folder, W_OK) != 0)
        sg_fail(g, SG_IO, "%s: cannot be written: %s", path, strerror(errno));
}

void program_train(sg_context *g, const training *t, lesson l)
{
    run r = {.g = g, .t = t, .l = l};
    const char *const paths[] = {t->model, t->log, t->plot, t->profile};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i])
            expect_writable(g, paths[i], i == 0);
    if (l.steps <= 0)
        sg_fail(g, SG_BAD_ARGUMENT, "there is nothing to learn from%s%s", t->train ? ": " : "",
                t->train ? t->train : "");
    if (!sg_ok(g))
        return;
    r.l.score_name = l.score_name ? l.score_name : "valid_loss";
    sg_stopper stopper = {.patience = t->patience ? t->patience : t->epochs + 1};
    r.optimizer = make_optimizer(g, t, l.steps);
    if (t->profile)
        sg_profile(g, true);
    progress_open(
        &r.p, (progress_options){.log = t->log, .epochs = t->epochs, .perplexity = l.perplexity});
    for (int e = 1; e <= t->epochs && sg_ok(g); e++) {
        progress_epoch(&r.p, e, l.steps);
        bool whole = epoch(&r, e);
        double score = whole && l.score ? l.score(l.user, &r.p) : NAN;
        if (whole && l.score) {
            progress_metric(&r.p, r.l.score_name, score);
            add_point(g, &r.valid, (double)r.steps, score);
        }
        progress_end_epoch(&r.p);
        if (!whole || interrupted || (l.score && sg_stopper_done(&stopper, g, score)))
            break;
    }
    if (interrupted)
        progress_say(&r.p, "interrupted: the model is saved as it is");
    else if (l.score)
        sg_stopper_restore(&stopper, g);
    if (!progress_close(&r.p))
        fail_beside("%s: the log could not be written", t->log);
    draw_curves(&r);
    if (t->profile && sg_ok(g) && !profile_write(g, t->profile))
        fail_beside("%s: could not be written", t->profile);
}
