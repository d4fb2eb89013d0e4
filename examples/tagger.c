/*
 * A tag for every word: N→N 词性标注与命名实体识别
 *
 *     tagger                                         learns a little grammar, without any file
 *     tagger train --train F --valid F --model M     a word and its tag a line, CoNLL-U 训练
 *     tagger evaluate --model M --test F             准确率, F1
 *     tagger use --model M --text S                  tags the words of one sentence, and says why
 *
 * What a word is depends on what stands before and after it, "the light watches", "the light
 * watch": so one RNN reads forward, another one backward 双向循环神经网络, and both have a say:
 *
 *     h→_t = f(x_t, h→_t-1)    h←_t = f(x_t, h←_t+1)    s_t = W→ h→_t + W← h←_t + b
 *
 * which is W [h→_t ; h←_t] + b; --merge has other ways to join them, such as their sum or mean.
 *
 * Most words of a language are rare, and many of a new text were never seen. So the input of a word
 * is joined from two vectors: one looked up for the word, and the last states of a small
 * bidirectional RNN over its letters 字符, which sees beginnings, endings, capitals, digits:
 *
 *     x_t = [E[word_t] ; c→ ; c←]
 *
 * Where words are characters, as of Chinese, a vector of each pair (--pairs) stands for what
 * letters tell elsewhere.
 *
 * The scores s_t become tags one by one, P(y_t) = softmax(s_t); or together by a conditional random
 * field 条件随机场, which also knows which tag follows which, A:
 *
 *     P(y) = exp(Σ_t s_t[y_t] + Σ_t A[y_t, y_t+1]) / Z
 */
#include "examples/cells.h"
#include "examples/grammar.h"
#include "examples/program.h"
#include "examples/tags_file.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    cells_choice cell;
    int column, embed, pairs, hidden, layers, letter_embed, letters, min_count, output, merge;
    double dropout, word_dropout;
    bool column_given, lower, backward;
    const char *text, *picture, *transitions;
    program_vectors vectors;
} settings;

enum { SOFTMAX, CRF };
enum { LAYERS = 4 };

/* ---- the model 模型 -------------------------------------------------------------------------- */

typedef struct vocabularies {
    sg_vocabulary *words, *pairs, *letters, *tags; /* pairs may be NULL */
} vocabularies;

typedef struct net {
    sg_context *g;
    settings s;
    vocabularies v;
    sg_tensor *word_table, *pair_table, *letter_table;
    sg_cell spelling[2], forward[LAYERS], backward[LAYERS];
    sg_fusion merge[LAYERS];
    sg_affine out;
    sg_crf crf;
} net;

static net make_net(sg_context *g, const settings *s, vocabularies v)
{
    net m = {.g = g, .s = *s, .v = v};
    if (!sg_ok(g))
        return m;
    m.word_table = sg_embedding(g, "words", sg_vocabulary_size(v.words), s->embed);
    if (s->pairs)
        m.pair_table = sg_embedding(g, "pairs", sg_vocabulary_size(v.pairs), s->pairs);
    if (s->letters) {
        m.letter_table = sg_embedding(g, "letters", sg_vocabulary_size(v.letters), s->letter_embed);
        m.spelling[0] = sg_lstm(g, "spelling", .in = s->letter_embed, .hidden = s->letters);
        m.spelling[1] = sg_lstm(g, "spelled_back", .in = s->letter_embed, .hidden = s->letters);
    }
    int in = s->embed + s->pairs + 2 * s->letters;
    sg_fusion_kind merge = (sg_fusion_kind)s->merge;
    for (int l = 0; l < s->layers; l++) {
        char name[24];
        snprintf(name, sizeof name, "forward%d", l);
        m.forward[l] = cells_make(&s->cell, (sg_cell_options){g, name, in, s->hidden});
        snprintf(name, sizeof name, "backward%d", l);
        if (s->backward)
            m.backward[l] = cells_make(&s->cell, (sg_cell_options){g, name, in, s->hidden});
        snprintf(name, sizeof name, "merge%d", l);
        if (s->backward && merge != SG_FUSE_CONCAT)
            m.merge[l] = sg_make_fusion(g, name, merge, s->hidden, s->hidden);
        in = s->backward ? cells_fused_size(merge, s->hidden, s->hidden) : s->hidden;
    }
    m.out = sg_linear(g, "out", in, sg_vocabulary_size(v.tags));
    if (s->output == CRF)
        m.crf = sg_make_crf(g, "crf", sg_vocabulary_size(v.tags), SG_F32);
    return m;
}

static void free_net(net *m)
{
    sg_vocabulary_free(m->v.words);
    sg_vocabulary_free(m->v.pairs);
    sg_vocabulary_free(m->v.letters);
    sg_vocabulary_free(m->v.tags);
}

/* ---- from words to tags --------------------------------------------------------------------- */

static tags_batches batches_of(const net *m, const sg_corpus *c, uint64_t seed)
{
    return tags_open((tags_options){m->g, c, m->v.words, m->v.pairs, m->v.letters, m->v.tags,
                                    m->s.t.batch, seed});
}

/* What the letters say of each word, [c→ ; c←]: [B,T,2C] */
static sg_tensor *spelled(const net *m, const tags_batches *r)
{
    sg_context *g = m->g;
    sg_state final;
    sg_tensor *letters = sg_input(g, SG_I32, SG_SHAPE(r->rows, TAGS_LETTERS), r->letters);
    letters = sg_slice(letters, 1, 0, r->longest, 1); /* [R,L] */
    sg_bidirectional(m->spelling[0], m->spelling[1], sg_take(m->letter_table, letters), r->lengths,
                     &final);
    sg_tensor *form = sg_input(g, SG_I32, SG_SHAPE(r->b.size, r->b.source_time), r->form);
    return sg_take(final.h, form); /* of [R,2C] */
}

/* h [B,T,2H]: the states of both directions at each word */
static sg_tensor *states_of(const net *m, const tags_batches *r)
{
    sg_context *g = m->g;
    const settings *s = &m->s;
    sg_shape shape = SG_SHAPE(r->b.size, r->b.source_time);
    sg_tensor *words = sg_input(g, SG_I32, shape, r->b.source);
    if (sg_training(g) && s->word_dropout > 0) { /* then the letters have to do */
        sg_tensor *hidden = sg_random_bernoulli(g, shape, s->word_dropout);
        words = sg_where(hidden, sg_like(words, SG_UNK), words);
    }
    sg_tensor *x = sg_take(m->word_table, words); /* [B,T,E] */
    if (s->pairs)
        x = sg_concat(-1, x, sg_take(m->pair_table, sg_input(g, SG_I32, shape, r->p.source)));
    x = sg_dropout(s->letters ? sg_concat(-1, x, spelled(m, r)) : x, s->dropout);
    x = sg_deep(s->layers, m->forward, s->backward ? m->backward : NULL, x, r->b.source_lengths,
                s->backward && s->merge != SG_FUSE_CONCAT ? m->merge : NULL, s->dropout);
    return sg_dropout(x, s->dropout);
}

/* -log P(tags), a sum over the batch. */
static sg_tensor *loss_of(const net *m, const tags_batches *r)
{
    sg_tensor *s = sg_apply(m->out, states_of(m, r)); /* [B,T,K] */
    if (m->s.output == CRF)
        return sg_sum(sg_crf_loss(&m->crf, s, r->labels, r->b.source_lengths), 0, false);
    return sg_label_loss(s, r->labels, r->b.source_lengths).sum;
}

/* The most probable tag of every word, or the most probable sequence of them, into best [B * T]. */
static void tags_of(const net *m, const tags_batches *r, sg_tensor *scores, int32_t *best)
{
    if (m->s.output == CRF) {
        sg_crf_viterbi(&m->crf, scores, r->b.source_lengths, best, NULL);
        return;
    }
    const int32_t *told = sg_data(sg_argmax(scores, -1, false));
    if (told)
        memcpy(best, told, (size_t)r->b.size * (size_t)r->b.source_time * sizeof *best);
}

/* ---- training 训练 --------------------------------------------------------------------------- */

typedef struct learner {
    net m;
    tags_batches train, valid;
} learner;

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    if (!tags_next(&k->train))
        return false;
    l->tokens = k->train.b.tokens - k->train.b.size; /* without <stop> */
    sg_tensor *sum = loss_of(&k->m, &k->train);
    l->loss = sg_div(sum, sg_like(sum, (double)l->tokens));
    return true;
}

static tags_score evaluate(const net *m, tags_batches *r)
{
    tags_score s = {0};
    for (int i = SG_RESERVED; i < sg_vocabulary_size(r->truth); i++)
        s.closed = s.closed || strncmp(sg_vocabulary_text(r->truth, i), "E-", 2) == 0;
    while (sg_ok(m->g) && tags_next(r)) {
        int time = r->b.source_time;
        const char **truth = sg_room(m->g, 2 * (size_t)time * sizeof *truth), **told = truth + time;
        int32_t *best = sg_room(m->g, (size_t)(r->b.size * time) * sizeof *best);
        if (sg_ok(m->g))
            tags_of(m, r, sg_apply(m->out, states_of(m, r)), best);
        for (int b = 0; b < r->b.size && sg_ok(m->g); b++) {
            int n = r->b.source_lengths[b];
            for (int t = 0; t < n; t++) {
                truth[t] = sg_vocabulary_text(r->truth, r->w.target_out[b * r->w.target_time + t]);
                told[t] = sg_vocabulary_text(m->v.tags, best[b * time + t]);
            }
            tags_add(&s, n, truth, told);
        }
        sg_reset(m->g);
    }
    return s;
}

/* What is wrong: of entities where there are any, else of words. */
static double score(void *user, progress *p)
{
    learner *k = user;
    tags_score s = evaluate(&k->m, &k->valid);
    progress_metric(p, "valid_accuracy", tags_accuracy(&s));
    if (s.entities)
        progress_metric(p, "valid_f1", tags_f1(&s));
    return 1 - (s.entities ? tags_f1(&s) : tags_accuracy(&s)) / 100;
}

static void print_json(const net *m, const sg_corpus *c)
{
    tags_batches r = batches_of(m, c, 0);
    tags_score s = evaluate(m, &r);
    if (sg_ok(m->g)) {
        printf("{\"accuracy\": %.4f, ", tags_accuracy(&s));
        if (s.entities)
            printf("\"f1\": %.4f, \"entities\": %lld, ", tags_f1(&s), (long long)s.entities);
        printf("\"words\": %lld, \"sentences\": %d}\n", (long long)s.words, r.d->pairs);
        fflush(stdout);
    }
    tags_close(&r);
}

static net learn(sg_context *g, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    sg_tokenizer words = {.casing = s->lower ? SG_CASE_LOWER : SG_CASE_KEEP};
    learner k;
    vocabularies v = {.tags = sg_vocabulary_build(g, train->size, train->target)};
    v.words = sg_vocabulary_build(g, train->size, train->source, .tokenizer = words,
                                  .min_count = s->min_count);
    v.letters =
        sg_vocabulary_build(g, train->size, train->source, .tokenizer.units = SG_UNITS_CHAR);
    if (s->pairs) {
        sg_corpus *pairs = tags_pairs(g, train);
        v.pairs =
            sg_vocabulary_build(g, pairs->size, pairs->source, .tokenizer = words, .min_count = 2);
        sg_corpus_free(pairs);
    }
    sg_vectors *vectors = program_vectors_open(g, &s->vectors, &s->embed);
    k.m = make_net(g, s, v);
    program_vectors_use(g, &s->vectors, vectors, v.words, k.m.word_table, "words");
    k.train = batches_of(&k.m, train, (uint64_t)s->t.seed);
    k.valid = batches_of(&k.m, valid, 0);
    if (sg_ok(g) && train->size == 0)
        sg_fail(g, SG_BAD_ARGUMENT, "there is no sentence to learn from");
    fprintf(stderr, "%d sentences, %d held out, %d words, %d tags\n", train->size, valid->size,
            sg_vocabulary_size(k.m.v.words) - SG_RESERVED,
            sg_vocabulary_size(k.m.v.tags) - SG_RESERVED);
    lesson l = {&k, k.train.d->batches, false, next, valid->size ? score : NULL, "valid_error"};
    program_train(g, &s->t, l);
    if (sg_ok(g)) {
        sg_set_meta(g, "words", sg_vocabulary_json(k.m.v.words));
        if (s->pairs)
            sg_set_meta(g, "pairs", sg_vocabulary_json(k.m.v.pairs));
        sg_set_meta(g, "letters", sg_vocabulary_json(k.m.v.letters));
        sg_set_meta(g, "tags", sg_vocabulary_json(k.m.v.tags));
        program_save(g, p);
    }
    tags_close(&k.train);
    tags_close(&k.valid);
    return k.m;
}

/* ---- what it tells, and why 预测与解释 ------------------------------------------------------- */

/* How much each direction says for the tag that was told, W h[tag] less its mean over all tags:
 * what one has before the other adds to it. */
static void show_directions(const net *m, const tags_batches *r, sg_tensor *h, const int32_t *best)
{
    int n = r->b.source_time, k = sg_vocabulary_size(m->v.tags);
    sg_tensor *half[2], *w[2], *tag = sg_input(m->g, SG_I32, SG_SHAPE(1, n, 1), best), *said[2];
    const char **words = sg_room(m->g, (size_t)n * sizeof *words);
    for (int t = 0; words && t < n; t++)
        words[t] = sg_vocabulary_text(r->forms, r->w.source[t]);
    sg_split(h, -1, 2, half);    /* [1,T,H] each */
    sg_split(m->out.w, 0, 2, w); /* [H,K] each */
    for (int d = 0; d < 2; d++) {
        sg_tensor *s = sg_slice(sg_matmul(half[d], w[d]), -1, SG_RESERVED, k, 1); /* [1,T,K] */
        sg_tensor *own = sg_take_along_axis(sg_matmul(half[d], w[d]), tag, 2);    /* [1,T,1] */
        said[d] = sg_reshape(sg_sub(own, sg_mean(s, -1, true)), SG_SHAPE(1, n));
    }
    const float *values = sg_data(sg_concat(0, said[0], said[1])); /* [2,T] */
    if (words && values)
        sg_plot_heatmap(m->g, 2, n, ((const char *[]){"before →", "after ←"}), words, values,
                        .title = "what speaks for each tag 两个方向的贡献", .file = stdout,
                        .svg = m->s.picture);
}

/* A[from, to], of the tags that there are. */
static void show_transitions(const net *m)
{
    int k = sg_vocabulary_size(m->v.tags), n = k - SG_RESERVED;
    const char **tags = sg_room(m->g, (size_t)k * sizeof *tags);
    for (int i = 0; tags && i < n; i++)
        tags[i] = sg_vocabulary_text(m->v.tags, i + SG_RESERVED);
    sg_tensor *a = sg_slice(m->crf.transition, 0, SG_RESERVED, k, 1);
    const float *values = sg_data(sg_slice(a, 1, SG_RESERVED, k, 1));
    if (tags && values)
        sg_plot_heatmap(m->g, n, n, tags, tags, values,
                        .title = "which tag follows which, from rows to columns 转移分数 A",
                        .file = stdout, .svg = m->s.transitions);
}

static void tell(const net *m, const char *text)
{
    const char *one[] = {text};
    sg_corpus *c = sg_corpus_of(m->g, 1, one, one); /* its tags are not looked at */
    tags_batches r = batches_of(m, c, 0);
    bool any = sg_ok(m->g) && tags_next(&r);
    int32_t *best = any ? sg_room(m->g, (size_t)r.b.source_time * sizeof *best) : NULL;
    if (sg_ok(m->g) && !best)
        sg_fail(m->g, SG_BAD_ARGUMENT, "a sentence without a word");
    if (best) {
        sg_tensor *h = sg_want(states_of(m, &r));
        tags_of(m, &r, sg_apply(m->out, h), best);
        for (int t = 0; sg_ok(m->g) && t < r.b.source_time; t++)
            printf("%s%s/%s", t ? " " : "", sg_vocabulary_text(r.forms, r.w.source[t]),
                   sg_vocabulary_text(m->v.tags, best[t]));
        putchar('\n');
        if (sg_ok(m->g) && m->s.backward && m->s.merge == SG_FUSE_CONCAT)
            show_directions(m, &r, h, best);
        if (sg_ok(m->g) && m->s.output == CRF)
            show_transitions(m);
    }
    tags_close(&r);
    sg_corpus_free(c);
    sg_reset(m->g);
}

/* ---- the default: a grammar 语法 ------------------------------------------------------------ */

/* From what can be seen the least to all of it. */
static void run_grammar(sg_context *g, const program *p)
{
    static const struct {
        const char *what;
        bool backward, letters;
        int output;
    } rows[] = {{"words, read forward 单向", false, false, SOFTMAX},
                {"words, in both directions 双向", true, false, SOFTMAX},
                {"words and letters, in both directions, with a CRF 条件随机场", true, true, CRF}};
    settings *s = p->settings;
    int letters = s->letters;
    sg_corpus *train = grammar_corpus(g, (uint64_t)s->t.seed, 1000, NULL);
    sg_corpus *valid = grammar_corpus(g, (uint64_t)s->t.seed + 1, 400, NULL);
    for (int i = 0; i < 3 && sg_ok(g) && !program_interrupted(); i++) {
        sg_context *h = sg_open(.seed = (uint64_t)s->t.seed, .threads = s->t.threads);
        s->backward = rows[i].backward;
        s->letters = rows[i].letters ? letters : 0;
        s->output = rows[i].output;
        printf("\n%s\n", rows[i].what);
        fflush(stdout);
        net m = learn(h, p, train, valid);
        if (sg_ok(h))
            print_json(&m, valid);
        if (sg_ok(h))
            tell(&m, "the light watches every light watch that cooks Nesota .");
        free_net(&m);
        program_close_part(g, h);
    }
    sg_corpus_free(train);
    sg_corpus_free(valid);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static sg_corpus *read_tags(sg_context *g, const void *user, const char *path, const char *name)
{
    const settings *s = user;
    return tags_read(g, path, name, s->column);
}

static void run_train(sg_context *g, const program *p)
{
    program_split c = program_read(g, p, read_tags);
    if (sg_ok(g)) {
        net m = learn(g, p, c.train, c.valid);
        if (sg_ok(g) && c.valid->size)
            print_json(&m, c.valid);
        free_net(&m);
    }
    program_split_free(&c);
}

static net load(sg_context *g, const program *p)
{
    program_load(g, p);
    settings *s = p->settings;
    vocabularies v = {.words = sg_vocabulary_parse(g, sg_meta(g, "words")),
                      .pairs = s->pairs ? sg_vocabulary_parse(g, sg_meta(g, "pairs")) : NULL,
                      .letters = sg_vocabulary_parse(g, sg_meta(g, "letters")),
                      .tags = sg_vocabulary_parse(g, sg_meta(g, "tags"))};
    return make_net(g, s, v);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net m = load(g, p);
    sg_corpus *c = read_tags(g, s, s->t.test, "test");
    if (program_some(g, p, program_full(c)))
        print_json(&m, c);
    sg_corpus_free(c);
    free_net(&m);
}

static void run_use(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net m = load(g, p);
    if (sg_ok(g))
        tell(&m, s->text ? s->text : "");
    free_net(&m);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "A tag for every word. Without a command: learns the parts of speech of a little grammar,\n"
        "with no file needed. train: from a word and its tag a line, or CoNLL-U. evaluate: one\n"
        "line of JSON, with the F1 of entities where tags mark such. use: tags one sentence.";
    static const char *const outputs[] = {"softmax", "crf", NULL};
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "tagger.safetensors", .batch = 32, .epochs = 6,
                        .lr = 0.005, .clip = 5, .hold = 0.1},
                  .cell.kind = SG_CELL_LSTM,
                  .merge = SG_FUSE_CONCAT,
                  .embed = 32,
                  .hidden = 32,
                  .layers = 1,
                  .letter_embed = 16,
                  .letters = 16,
                  .min_count = 2,
                  .backward = true};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "a word and its tag a line, or CoNLL-U"),
        PROGRAM_HOLD_OPTION(s.t),
        {"column", "of the tags, from 1; 0: UPOS of CoNLL-U, the last of others",
         .integer = &s.column, .low = 0, .high = 64, .given = &s.column_given},
        {"lower", "lower-case words, but not their letters", .flag = &s.lower},
        {"min-count", "rarer words are <unk>", .integer = &s.min_count, .low = 1, .high = 1e9},
        {.help = "Model"},
        {"embed", "features of a word", .integer = &s.embed, .low = 1, .high = 65536},
        {"pairs", "features of a word together with the next one, 0: none", .integer = &s.pairs,
         .low = 0, .high = 65536},
        {"letters", "units of a direction over letters, 0: words alone", .integer = &s.letters,
         .low = 0, .high = 65536},
        {"letter-embed", "features of a letter", .integer = &s.letter_embed, .low = 1,
         .high = 65536},
        {"hidden", "units of a direction", .integer = &s.hidden, .low = 1, .high = 65536},
        {"layers", "over words", .integer = &s.layers, .low = 1, .high = LAYERS},
        {"backward", "read backward, too", .flag = &s.backward},
        {"merge", "how what both directions say is joined", .choice = &s.merge,
         .choices = cells_fusions},
        CELLS_OPTIONS(s.cell),
        {"output", "tags one by one, or together", .choice = &s.output, .choices = outputs},
        {"dropout", "on what goes into layers and output", .number = &s.dropout, .low = 0,
         .high = 0.95},
        {"word-dropout", "share of words that training hides", .number = &s.word_dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        PROGRAM_VECTORS_OPTIONS(s.vectors),
        {.help = "Use"},
        {"text", "a sentence to be tagged", .text = &s.text},
        {"picture", "SVG of what each direction says", .text = &s.picture, .value = "FILE"},
        {"transitions", "SVG of the CRF's", .text = &s.transitions, .value = "FILE"},
        {0}};
    static const command commands[] = {
        {"", run_grammar}, {"train", run_train}, {"evaluate", run_evaluate}, {"use", run_use}, {0}};
    return program_main(argc, argv, &(program){"tagger", about, table, &s.t, commands, &s});
}
