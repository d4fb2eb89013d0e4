/* See attending.h. */
#include "examples/attending.h"

#include <string.h>

enum { MOST = 512 };

/* ---- sources -------------------------------------------------------------------------------- */

/* Where the tokens of part k are in a line of n, of those that "|" divides, the last of which may
 * have more of them: how many there are; places, if not NULL, get it. */
static int part_of(const int32_t *line, int n, int k, int last, int32_t divides, int *places)
{
    int count = 0, at = 0;
    for (int i = 0; i < n; i++) {
        if (line[i] == divides && at < last) {
            at++;
        } else if (at == k) {
            if (places)
                places[count] = i;
            count++;
        }
    }
    return count;
}

static int sources_in(const attending *n)
{
    return n->model.o.sources + (n->model.o.extra > 0);
}

static sg_source source_of(const attending *n, const sg_batch *b, int k)
{
    sg_context *g = n->t.g;
    int32_t divides = sg_vocabulary_id(n->t.source, "|");
    int last = sources_in(n) - 1, time = 1,
        *lengths = sg_room(g, (size_t)b->size * sizeof *lengths);
    int *places = sg_room(g, ((size_t)b->source_time + 1) * sizeof *places);
    for (int i = 0; lengths && i < b->size; i++) {
        const int32_t *line = b->source + (size_t)i * (size_t)b->source_time;
        lengths[i] = part_of(line, b->source_lengths[i], k, last, divides, NULL);
        time = lengths[i] > time ? lengths[i] : time;
    }
    int32_t *ids = sg_room(g, (size_t)b->size * (size_t)time * sizeof *ids);
    for (int i = 0; lengths && places && ids && i < b->size; i++) {
        const int32_t *line = b->source + (size_t)i * (size_t)b->source_time;
        part_of(line, b->source_lengths[i], k, last, divides, places);
        for (int t = 0; t < time; t++)
            ids[i * time + t] = t < lengths[i] ? line[places[t]] : SG_PAD;
    }
    return (sg_source){ids, time, lengths};
}

static sg_encoded encode(const attending *n, const sg_batch *b)
{
    const sg_seq2seq *m = &n->model;
    if (sources_in(n) == 1)
        return sg_seq2seq_encode(m, b->source, b->size, b->source_time, b->source_lengths);
    sg_source s[SG_MAX_SOURCES + 1];
    for (int k = 0; k < sources_in(n); k++)
        s[k] = source_of(n, b, k);
    sg_encoded e = sg_seq2seq_encode_all(m, b->size, s);
    if (m->o.extra && sg_ok(n->t.g)) {
        const sg_source *last = &s[m->o.sources];
        sg_tensor *ids = sg_borrow(n->t.g, SG_I32, SG_SHAPE(b->size, last->time), last->ids);
        e.z = sg_pool(SG_POOL_MEAN, sg_take(m->encoder[0].table, ids), last->lengths); /* [B,E] */
    }
    return e;
}

/* ---- a model of a translator ---------------------------------------------------------------- */

static sg_loss loss_of(const void *model, const sg_batch *b, double smoothing, double truth)
{
    const attending *n = model;
    sg_encoded e = encode(n, b);
    return sg_seq2seq_loss_from(&n->model, &e, b, smoothing, truth);
}

static sg_stepper begin(const void *model, const sg_batch *b)
{
    const attending *n = model;
    sg_encoded e = encode(n, b);
    return sg_seq2seq_stepper(&n->model, &e);
}

void attending_use(attending *n)
{
    n->t.model = n;
    n->t.loss = loss_of;
    n->t.begin = begin;
}

/* ---- pictures ------------------------------------------------------------------------------- */

/* "F.svg", or with a number. */
static const char *numbered(char *path, size_t size, const char *svg, int k)
{
    size_t n = strlen(svg), end = n > 4 && strcmp(svg + n - 4, ".svg") == 0 ? n - 4 : n;
    if (k == 0)
        return svg;
    snprintf(path, size, "%.*s.%d%s", (int)end, svg, k + 1, svg + end);
    return path;
}

/* One source of a line: of the weights of all the columns that begin at `from`. */
static void draw_source(const attending *n, const sg_batch *b, const char *const *words, int k,
                        const sg_greedy *r, int width, int from, sg_plot_heatmap_options o)
{
    sg_context *g = n->t.g;
    int places[MOST], rows = r->lengths[0];
    const char *columns[MOST], *labels[MOST];
    int32_t divides = sg_vocabulary_id(n->t.source, "|");
    int count = part_of(b->source, b->source_time, k, sources_in(n) - 1, divides, places);
    float *values = sg_room(g, ((size_t)rows * (size_t)count + 1) * sizeof *values);
    for (int i = 0; i < count; i++)
        columns[i] = words[places[i]];
    for (int t = 0; values && t < rows; t++) {
        labels[t] = sg_vocabulary_text(n->t.target, r->ids[t]);
        for (int i = 0; i < count; i++)
            values[t * count + i] = r->weights[t * width + from + i];
    }
    o.g = g;
    o.rows = rows;
    o.columns = count;
    o.row_labels = labels;
    o.column_labels = columns;
    o.values = values;
    if (count > 0 && rows > 0)
        sg_plot_heatmap_(o);
}

static void draw_all(const attending *n, const sg_batch *b, const char *const *words, int most,
                     sg_plot_heatmap_options o)
{
    char path[1024];
    const char *svg = o.svg;
    sg_encoded e = encode(n, b);
    sg_greedy r = sg_seq2seq_greedy_from(&n->model, &e, most < MOST ? most : MOST);
    int width = 0, from = 0;
    for (int k = 0; k < n->model.o.sources && r.weights; k++)
        width += (int)sg_dim(e.memory[k].values, -2);
    for (int k = 0; k < n->model.o.sources && r.weights && sg_ok(n->t.g); k++) {
        o.svg = svg ? numbered(path, sizeof path, svg, k) : NULL;
        draw_source(n, b, words, k, &r, width, from, o);
        from += (int)sg_dim(e.memory[k].values, -2);
    }
}

void attending_draw(const attending *n, const char *line, int most, FILE *f, const char *svg)
{
    sg_context *g = n->t.g;
    int32_t ids[MOST];
    const char *words[MOST];
    sg_tokenizer tokenizer = sg_vocabulary_tokenizer(n->t.source);
    sg_tokens *tokens = sg_tokenize(g, &tokenizer, line);
    int time = sg_encode(n->t.source, line, MOST - 1, ids);
    time = time < MOST - 1 ? time : MOST - 1;
    for (int i = 0; i < time; i++)
        words[i] = tokens->text[i];
    if (sg_ok(g) && time > 0) {
        words[time] = "<stop>";
        ids[time++] = SG_STOP;
        sg_batch b = {.size = 1, .source_time = time, .source = ids, .source_lengths = &time};
        draw_all(n, &b, words, most,
                 (sg_plot_heatmap_options){.title = line, .file = f, .svg = svg});
    }
    sg_tokens_free(tokens);
    sg_reset(g);
}
