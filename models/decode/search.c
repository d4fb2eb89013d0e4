/* Beam search. The graph says how probable the next tokens are; what becomes of the hypotheses is
 * decided here, in double, row by row. */
#include "models/decode/internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct candidate {
    double score;
    int slot; /* of the hypothesis that it continues */
    int32_t token;
} candidate;

typedef struct search {
    const sg_search_options *o;
    const sg_stepper *m;
    sg_context *g;
    sg__paths w;
    int width, best, step;
    sg__search_node *node;
    int nodes, room;
    int *live, *lives; /* [rows, width] last node of each hypothesis, -1 the empty one; [rows] */
    int *ended, *ends; /* [rows, width] nodes; [rows] */
    bool *done;        /* [rows] */
    int32_t *token, *from, *forced; /* [rows * width] */
    int32_t *history;               /* [most] of one hypothesis */
    candidate *list;                /* [2 width²] of one row */
    double *covered; /* [rows * width, time] sums of weights, twice: before and after */
    int64_t time;
} search;

/* ---- scores --------------------------------------------------------------------------------- */

/* log p / ((5 + n) / 6)^α + β Σ_s log min(covered_s, 1) */
static double adjusted(const search *s, double score, int length, const double *covered)
{
    double a = s->o->length_penalty, b = s->o->coverage_penalty, sum = 0;
    for (int64_t t = 0; b != 0 && covered && t < s->time; t++)
        sum += covered[t] > 0 ? log(fmin(covered[t], 1)) : 0; /* 0: padding, or not yet */
    return (a == 0 ? score : score / pow((5 + length) / 6.0, a)) + (b == 0 ? 0 : b * sum);
}

static int add_node(search *s, sg__search_node n)
{
    if (s->nodes == s->room) {
        int room = s->room ? 2 * s->room : 256;
        sg__search_node *grown = realloc(s->node, (size_t)room * sizeof *grown);
        if (!grown) {
            sg_fail(s->g, SG_NO_MEMORY, "no memory for %d hypotheses", room);
            return -1;
        }
        s->node = grown;
        s->room = room;
    }
    s->node[s->nodes] = n;
    return s->nodes++;
}

/* The tokens of a hypothesis into history; how many. */
static int tell(search *s, int last)
{
    int n = last < 0 ? 0 : s->node[last].length;
    for (int at = last; at >= 0; at = s->node[at].parent)
        s->history[s->node[at].length - 1] = s->node[at].token;
    return n;
}

/* Whether token would repeat an n-gram of the first n tokens of history. */
static bool repeats(const search *s, int n, int32_t token)
{
    int k = s->o->no_repeat;
    const int32_t *tail = s->history + n - (k - 1);
    for (int i = 0; k > 0 && i + k <= n; i++)
        if (s->history[i + k - 1] == token &&
            memcmp(s->history + i, tail, (size_t)(k - 1) * sizeof *tail) == 0)
            return true;
    return false;
}

/* ---- one step of a row ---------------------------------------------------------------------- */

/* The better first; of equal ones the earlier hypothesis, the smaller token. */
static int by_score(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return a->token < b->token ? -1 : a->token > b->token;
}

/* Continuations of hypothesis `slot` of row b, at most 2 * width of them, onto the list. */
static int continue_one(search *s, int b, int slot, int n)
{
    int row = b * s->width + slot, last = s->live[row], length = tell(s, last),
        end = n + 2 * s->width;
    double before = last < 0 ? 0 : s->node[last].score;
    int32_t must = s->forced[row];
    if (must >= 0) {
        s->list[n] = (candidate){before + sg__value(s->w.given, row), slot, must};
        return n + 1;
    }
    const int32_t *ids = sg_data(s->w.ids);
    for (int64_t i = row * s->w.count; i < (row + 1) * s->w.count && n < end; i++) {
        bool early = ids[i] == s->m->stop && s->step < s->o->least;
        if (!early && !repeats(s, length, ids[i]))
            s->list[n++] = (candidate){before + sg__value(s->w.log_p, i), slot, ids[i]};
    }
    return n;
}

/* Keeps the `width` best that have ended. */
static void keep_ended(search *s, int b, int at)
{
    int *list = s->ended + b * s->width, worst = 0;
    if (s->ends[b] < s->width) {
        list[s->ends[b]++] = at;
        return;
    }
    for (int i = 1; i < s->width; i++)
        worst = s->node[list[i]].adjusted < s->node[list[worst]].adjusted ? i : worst;
    if (s->node[at].adjusted > s->node[list[worst]].adjusted)
        list[worst] = at;
}

/* Whether one of the `lives` that go on is better, as it stands, than the last of the results. */
static bool promising(const search *s, int b, const int *live, int lives)
{
    const int *list = s->ended + b * s->width;
    for (int k = 0; k < lives; k++) {
        int better = 0;
        for (int i = 0; i < s->ends[b]; i++)
            better += s->node[list[i]].adjusted >= s->node[live[k]].adjusted;
        if (better < s->best)
            return true;
    }
    return false;
}

static void accept(search *s, int b, const candidate *c, int rank, int *lives, int *next)
{
    int row = b * s->width + c->slot;
    int parent = s->live[row], length = parent < 0 ? 0 : s->node[parent].length;
    bool ends = c->token == s->m->stop;
    if (ends ? rank >= s->width : *lives >= s->width)
        return;
    sg__search_node n = {parent, b, length + !ends, c->token, c->score, .ended = ends};
    const double *covered = s->covered ? s->covered + row * s->time : NULL;
    n.adjusted = adjusted(s, c->score, length + 1, covered);
    int at = add_node(s, n);
    if (at < 0)
        return;
    if (ends) {
        keep_ended(s, b, at);
        return;
    }
    int to = b * s->width + *lives;
    s->from[to] = row;
    s->token[to] = c->token;
    next[(*lives)++] = at;
}

static void step_row(search *s, int b, int *next)
{
    int n = 0, lives = 0;
    for (int slot = 0; slot < s->lives[b]; slot++)
        n = continue_one(s, b, slot, n);
    qsort(s->list, (size_t)n, sizeof *s->list, by_score);
    for (int i = 0; i < n && lives < s->width; i++)
        accept(s, b, &s->list[i], i, &lives, next);
    memcpy(s->live + b * s->width, next, (size_t)lives * sizeof *next);
    s->lives[b] = lives;
    s->done[b] = lives == 0 || (s->ends[b] >= s->width && !promising(s, b, next, lives));
}

/* ---- all rows ------------------------------------------------------------------------------- */

/* What was attended to by each hypothesis that goes on. */
static bool cover(search *s, bool before)
{
    if (s->o->coverage_penalty == 0)
        return true;
    if (!s->w.weights)
        return sg_fail(s->g, SG_BAD_ARGUMENT,
                       "a coverage penalty, but the model attends to nothing") == NULL;
    size_t rows = (size_t)s->w.rows;
    s->time = sg_dim(s->w.weights, 1);
    size_t n = rows * (size_t)s->time;
    if (!s->covered && !(s->covered = calloc(2 * n + 1, sizeof *s->covered))) {
        sg_fail(s->g, SG_NO_MEMORY, "no memory for %zu weights", n);
        return false;
    }
    for (size_t i = 0; before && i < n; i++)
        s->covered[i] += sg__value(s->w.weights, (int64_t)i);
    if (before)
        return true;
    for (size_t r = 0; r < rows; r++)
        memcpy(s->covered + n + r * (size_t)s->time,
               s->covered + (size_t)s->from[r] * (size_t)s->time,
               (size_t)s->time * sizeof *s->covered);
    memcpy(s->covered, s->covered + n, n * sizeof *s->covered);
    return true;
}

static bool all_done(const search *s)
{
    for (int b = 0; b < s->m->rows; b++)
        if (!s->done[b])
            return false;
    return true;
}

/* As many of the most probable classes as can be needed when some are not allowed. */
static int64_t count(const search *s)
{
    int64_t n = 2 * s->width + 1 + (s->o->no_repeat ? s->step : 0);
    return (n + 7) / 8 * 8; /* so that plans come back */
}

static void run(search *s, int *next)
{
    const sg_search_options *o = s->o;
    for (; s->step < o->most && !all_done(s); s->step++) {
        bool any = false;
        for (int r = 0; r < s->w.rows; r++) {
            int32_t id =
                sg__forced(o->prefix, o->prefix_lengths, o->prefix_time, r / s->width, s->step);
            s->forced[r] = id;
            any = any || id >= 0;
        }
        int32_t *given = any ? s->forced + s->w.rows : NULL;
        for (int r = 0; any && r < s->w.rows; r++)
            given[r] = s->forced[r] < 0 ? 0 : s->forced[r];
        bool moved = s->step > 0 && s->width > 1;
        if (!sg__walk_step(&s->w, s->token, moved ? s->from : NULL, count(s), given) ||
            !cover(s, true))
            return;
        for (int r = 0; r < s->w.rows; r++)
            s->from[r] = r;
        for (int b = 0; b < s->m->rows; b++)
            if (!s->done[b])
                step_row(s, b, next);
        if (!cover(s, false))
            return;
    }
}

/* ---- results -------------------------------------------------------------------------------- */

/* What has ended first, then the better; stable by insertion. */
static void order(const search *s, int n, int *list)
{
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0; j--) {
            const sg__search_node *a = &s->node[list[j - 1]], *b = &s->node[list[j]];
            bool swap = a->ended != b->ended ? b->ended : b->adjusted > a->adjusted;
            if (!swap)
                break;
            int t = list[j];
            list[j] = list[j - 1];
            list[j - 1] = t;
        }
}

static void write_one(search *s, const sg_hypotheses *h, int b, int k, int last)
{
    int64_t at = (int64_t)b * h->best + k;
    const sg__search_node *n = &s->node[last];
    int length = tell(s, n->ended ? n->parent : last);
    h->lengths[at] = length;
    h->scores[at] = n->score;
    h->adjusted[at] = n->adjusted;
    for (int t = 0; t < h->most; t++)
        h->ids[at * h->most + t] = t < length ? s->history[t] : s->m->stop < 0 ? 0 : s->m->stop;
}

static sg_hypotheses collect(search *s, int *list)
{
    sg_hypotheses h = sg__hypotheses(s->g, s->m->rows, s->best, s->step);
    int *first = sg__array(s->g, SG_I32, SG_SHAPE(s->m->rows));
    for (int b = 0; b < s->m->rows && first && h.lengths; b++) {
        int n = s->ends[b];
        memcpy(list, s->ended + b * s->width, (size_t)n * sizeof *list);
        for (int k = 0; k < s->lives[b] && !s->done[b]; k++)
            if (s->live[b * s->width + k] >= 0)
                list[n++] = s->live[b * s->width + k];
        order(s, n, list);
        first[b] = n ? list[0] : -1;
        for (int k = 0; k < s->best; k++) {
            h.lengths[b * s->best + k] = -1;
            if (k < n)
                write_one(s, &h, b, k, list[k]);
        }
    }
    if (sg_ok(s->g) && s->o->tree && !sg__print_trees(s->o, s->nodes, s->node, first))
        sg_fail(s->g, SG_IO, "the tree could not be written");
    return sg_ok(s->g) ? h : (sg_hypotheses){0};
}

static bool good(const sg_search_options *o, sg_context *g, int width, int best)
{
    if (width < 1 || best < 1 || best > width || o->most < 0 || o->least < 0 || o->no_repeat < 0)
        sg_fail(g, SG_BAD_ARGUMENT,
                "the best %d of a beam of %d, %d to %d tokens, no repeated %d-grams", best, width,
                o->least, o->most, o->no_repeat);
    return sg_ok(g) && sg__good_prefix(o->model, o->prefix, o->prefix_lengths, o->prefix_time);
}

/* One block of memory for all that has a size beforehand; returns what `next` and lists need. */
static int *make_room(search *s, int most)
{
    size_t rows = (size_t)s->m->rows, k = (size_t)s->width, all = rows * k;
    size_t n = 2 * all + 2 * rows + 4 * all + (size_t)most + 2 * k + 1;
    int *p = calloc(n, sizeof *p);
    s->list = malloc((2 * k * k + 1) * sizeof *s->list);
    s->done = calloc(rows + 1, sizeof *s->done);
    if (!p || !s->list || !s->done) {
        sg_fail(s->g, SG_NO_MEMORY, "no memory for %zu hypotheses", all);
        return p;
    }
    s->live = p;
    s->ended = s->live + all;
    s->lives = s->ended + all;
    s->ends = s->lives + rows;
    s->token = s->ends + rows;
    s->from = s->token + all;
    s->forced = s->from + all;
    s->history = s->forced + 2 * all;
    for (size_t i = 0; i < all; i++) {
        s->live[i] = -1;
        s->token[i] = s->m->start;
        s->from[i] = (int32_t)i;
    }
    for (size_t b = 0; b < rows; b++)
        s->lives[b] = 1;
    return p;
}

sg_hypotheses sg_search_(sg_search_options o)
{
    search s = {.o = &o, .m = o.model, .g = o.model ? o.model->g : NULL};
    sg_hypotheses h = {0};
    s.width = o.width ? o.width : 1;
    s.best = o.best ? o.best : 1;
    sg_push(s.g, "search", "");
    int *room = NULL;
    if (sg_ok(s.g) && good(&o, s.g, s.width, s.best)) {
        if (sg__walk_open(&s.w, s.m, s.width)) {
            room = make_room(&s, o.most);
            int *last = room ? s.history + o.most : NULL; /* 2 width */
            if (sg_ok(s.g))
                run(&s, last);
            if (sg_ok(s.g))
                h = collect(&s, last);
        }
        sg__walk_close(&s.w);
    }
    free(room);
    free(s.list);
    free(s.done);
    free(s.node);
    free(s.covered);
    sg_pop(s.g);
    return h;
}
