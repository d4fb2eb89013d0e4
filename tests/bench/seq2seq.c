/*
 * Translation: a bidirectional LSTM encoder, an LSTM decoder with input feeding, Adam.
 * w4l: Luong's general attention; w4b: Bahdanau's score, from h_t like the other.
 */
#include "tests/bench/seq2seq.h"

enum { MOST_WORDS = 50, START = 1, STOP = 2, FIRST = 3 /* id of a word */ };

translation *bench_translation(bench *b, sg_score score)
{
    translation *m = bench_new(b, 1, sizeof *m);
    int vocabulary = bench_size(b, 8000, 30), most = bench_size(b, MOST_WORDS, 5);
    numbers n = bench_numbers(b, "s2s.i32");
    m->count = bench_number(&n, bench_size(b, 1, 3), bench_size(b, 10000, 3));
    m->size = bench_number(&n, bench_size(b, 1, 4), bench_size(b, 10000, 4));
    m->count *= m->size;
    m->pairs = bench_new(b, (size_t)m->count, sizeof *m->pairs);
    for (pair *p = m->pairs; p < m->pairs + m->count; p++) {
        p->source = bench_number(&n, 1, most);
        p->target = bench_number(&n, 1, most);
        p->source_ids = bench_array(&n, p->source, FIRST, vocabulary - 1);
        p->target_ids = bench_array(&n, p->target, FIRST, vocabulary - 1);
    }
    size_t size = (size_t)m->size;
    m->source = bench_new(b, size * MOST_WORDS, sizeof *m->source);
    m->target_in = bench_new(b, size * (MOST_WORDS + 1), sizeof *m->target_in);
    m->target_out = bench_new(b, size * (MOST_WORDS + 1), sizeof *m->target_out);
    m->source_lengths = bench_new(b, size, sizeof *m->source_lengths);
    m->target_lengths = bench_new(b, size, sizeof *m->target_lengths);
    m->batch = (sg_batch){.source = m->source,
                          .target_in = m->target_in,
                          .target_out = m->target_out,
                          .source_lengths = m->source_lengths,
                          .target_lengths = m->target_lengths};
    m->model =
        sg_make_seq2seq(b->g, "translate", .source_count = vocabulary, .target_count = vocabulary,
                        .embed = bench_size(b, 256, 6), .hidden = bench_size(b, 512, 8),
                        .cell = SG_CELL_LSTM, .score = score, .post = true, .input_feeding = true);
    return m;
}

void bench_fill(translation *m, int64_t first, int n)
{
    const pair *p = m->pairs + first;
    sg_batch *b = &m->batch;
    b->size = n;
    b->source_time = b->target_time = 0;
    b->tokens = 0;
    for (int i = 0; i < n; i++) {
        m->source_lengths[i] = p[i].source;
        m->target_lengths[i] = p[i].target + 1;
        b->source_time = p[i].source > b->source_time ? p[i].source : b->source_time;
        b->target_time = p[i].target >= b->target_time ? p[i].target + 1 : b->target_time;
        b->tokens += p[i].target + 1;
    }
    for (int i = 0; i < n; i++) {
        int32_t *source = m->source + i * b->source_time;
        int32_t *in = m->target_in + i * b->target_time, *out = m->target_out + i * b->target_time;
        for (int t = 0; t < b->source_time; t++)
            source[t] = t < p[i].source ? p[i].source_ids[t] : SG_PAD;
        for (int t = 0; t < b->target_time; t++) {
            int32_t word = t < p[i].target ? p[i].target_ids[t] : SG_PAD;
            in[t] = t == 0 ? START : t <= p[i].target ? p[i].target_ids[t - 1] : SG_PAD;
            out[t] = t == p[i].target ? STOP : word;
        }
    }
}

/* ---- training ------------------------------------------------------------------------------- */

static void *open_w4(bench *b, sg_score score, int64_t *batches)
{
    translation *m = bench_translation(b, score);
    m->adam = sg_adam(b->g, .rate = 1e-3, .clip_norm = 5);
    *batches = m->count / m->size;
    return m;
}

static void *open_w4b(bench *b, int64_t *batches)
{
    return open_w4(b, SG_CONCAT, batches);
}

static void *open_w4l(bench *b, int64_t *batches)
{
    return open_w4(b, SG_GENERAL, batches);
}

static int64_t step_w4(bench *b, void *model, int64_t batch)
{
    translation *m = model;
    bench_fill(m, batch * m->size, m->size);
    sg_tensor *sum = sg_seq2seq_loss(&m->model, &m->batch, 0).sum;
    sg_tensor *loss = sg_div(sum, sg_like(sum, m->size));
    bench_update(b, &m->adam, loss);
    return m->batch.tokens;
}

const workload bench_seq2seq[] = {
    {"w4b", "seq2seq, Bahdanau's attention", "tok/s", 8, open_w4b, step_w4},
    {"w4l", "seq2seq, Luong's attention", "tok/s", 8, open_w4l, step_w4},
    {NULL}};
