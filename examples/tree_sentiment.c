/*
 * What every phrase of a sentence says: a network in the shape of the sentence 句法树上的情感
 *
 *     tree_sentiment                               learns generated judgements, without any file
 *     tree_sentiment train --train F --valid F     a tree a line, as of the Stanford treebank
 *     tree_sentiment evaluate --model M --test F   准确率
 *     tree_sentiment use --model M --text '(not (very good))'
 *
 * "not very good" is judged by what "very good" is, and "very good" by what "good" is. A Tree-LSTM
 * 树形长短时记忆网络 (Tai et al. 2015) goes that way, from the words up: the state of a node is
 * made from those of its two children, l and r,
 *
 *     I, O, F_l, F_r = sigmoid,  U = tanh  of [h_l ; h_r] U + b
 *     C = I * U + F_l * c_l + F_r * c_r,     H = O * tanh(C)
 *
 * or, with --cell child-sum, from those of any number of children, in no order,
 *
 *     I, O, U of (Σ h_k) U + b,     F_k of h_k U_f + b_f,     C = I * U + Σ F_k * c_k
 *
 * and that of a word from its vector x, by I, O, U of x W + b. Every node is judged, by softmax(H
 * W_o + b_o), and every label that a tree has is learned from, not only that of its root.
 *
 * Each tree has another shape, so each is another graph; there is nothing to pad, and no batch in
 * this program: judge() is about one tree. It is the library that finds, among the graphs of many
 * trees, what can be computed together 自动批处理.
 */
#include "examples/program.h"
#include "examples/trees.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    int embed, hidden, classes, cell, min_count;
    double dropout, word_dropout;
    bool lower;
    const char *text;
} settings;

enum { FIVE, TWO };
enum { BINARY, CHILD_SUM };
static const char *const signs[][TREES_LABELS] = {{"--", "-", "o", "+", "++"}, {"-", "+"}};

/* ---- the model 模型 -------------------------------------------------------------------------- */

typedef struct net {
    sg_context *g;
    settings s;
    sg_vocabulary *words;
    sg_tensor *table;
    sg_tree_cell cell;
    sg_affine out;
} net;

static net make_net(sg_context *g, const settings *s, sg_vocabulary *words)
{
    net m = {.g = g, .s = *s, .words = words};
    if (!sg_ok(g))
        return m;
    m.table = sg_embedding(g, "words", sg_vocabulary_size(words), s->embed);
    m.cell = sg_tree_lstm(g, "tree", s->embed, s->hidden, .children = s->cell == CHILD_SUM ? 0 : 2);
    m.out = sg_linear(g, "out", s->hidden, s->classes == FIVE ? TREES_LABELS : 2);
    return m;
}

static void free_net(net *m)
{
    sg_vocabulary_free(m->words);
}

/* Words that are not known, or, in training, sometimes hidden. */
static int32_t id_of(const net *m, const char *word, uint64_t *random)
{
    int32_t id;
    if (random && program_uniform(random) < m->s.word_dropout)
        return SG_UNK;
    return sg_encode(m->words, word, 1, &id) > 0 ? id : SG_UNK;
}

/* The label that a node is to have, -1 for none: of two classes, a neutral one has none. */
static int32_t label_of(const net *m, const tree_node *v)
{
    if (m->s.classes == FIVE || v->label < 0)
        return v->label;
    return v->label == TREES_NEUTRAL ? -1 : v->label > TREES_NEUTRAL;
}

/* One tree, whose children stand before their parents: logits of all its nodes [N,K]. */
static sg_tensor *judge(const net *m, const tree *t, uint64_t *random)
{
    sg_context *g = m->g;
    sg_state *s = sg_room(g, (size_t)t->count * sizeof *s);
    sg_tensor **h = sg_room(g, (size_t)t->count * sizeof *h);
    for (int i = 0; i < t->count && s && h; i++) {
        const tree_node *v = &t->node[i];
        if (v->word) {
            sg_tensor *id = sg_scalar(g, SG_I32, id_of(m, v->word, random));
            s[i] = sg_tree_node(&m->cell, sg_dropout(sg_take(m->table, id), m->s.dropout), 0, NULL);
        } else {
            const sg_state children[] = {s[v->child[0]], s[v->child[v->children - 1]]};
            s[i] = sg_tree_node(&m->cell, NULL, v->children, children);
        }
        h[i] = s[i].h; /* [H] */
    }
    return sg_apply(m->out, sg_dropout(sg_stack_(0, t->count, h), m->s.dropout));
}

/* ---- training 训练 --------------------------------------------------------------------------- */

/* -log P of all labels of a tree, and what they are, truth[N]. */
static sg_tensor *loss_of(const net *m, const tree *t, sg_tensor *logits, int32_t *truth)
{
    for (int i = 0; i < t->count; i++)
        truth[i] = label_of(m, &t->node[i]);
    sg_tensor *y = sg_input(m->g, SG_I32, SG_SHAPE(t->count), truth);
    sg_tensor *all = sg_cross_entropy(logits, y, .ignore = true, .ignored_label = -1);
    return sg_sum(all, 0, false);
}

typedef struct learner {
    net m;
    trees train, valid;
    int *order, at;
    uint64_t random;
} learner;

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    sg_context *g = k->m.g;
    int n = k->m.s.t.batch, left = k->train.count - k->at;
    if (k->at == 0)
        program_shuffle(&k->random, k->train.count, k->order);
    if (left <= 0) {
        k->at = 0;
        return false;
    }
    n = n < left ? n : left;
    sg_tensor **loss = sg_room(g, (size_t)n * sizeof *loss);
    for (int i = 0; i < n && loss; i++) {
        const tree *t = &k->train.tree[k->order[k->at++]];
        int32_t *truth = sg_room(g, (size_t)t->count * sizeof *truth);
        loss[i] = truth ? loss_of(&k->m, t, judge(&k->m, t, &k->random), truth) : NULL;
        for (int v = 0; v < t->count && truth; v++)
            l->tokens += truth[v] >= 0;
    }
    if (!sg_ok(g))
        return false;
    sg_tensor *sum = sg_add_n(n, loss);
    l->factor = (double)l->tokens / n; /* the sum over a tree's labels, the mean over trees */
    l->loss = sg_div(sum, sg_like(sum, n));
    return true;
}

/* How many nodes were judged right, by their height: words have 1. */
enum { HEIGHTS = 64 };
typedef struct result {
    double nats;
    int64_t nodes, right, at[HEIGHTS], right_at[HEIGHTS];
    int trees, roots;
} result;

static void add_tree(const net *m, result *r, const tree *t, const float *logits)
{
    int k = m->s.classes == FIVE ? TREES_LABELS : 2,
        *height = malloc((size_t)t->count * sizeof(int));
    for (int i = 0; i < t->count && height; i++) {
        const tree_node *v = &t->node[i];
        int32_t best = 0, truth = label_of(m, v);
        height[i] = 1;
        for (int c = 0; c < v->children; c++)
            height[i] = height[v->child[c]] >= height[i] ? height[v->child[c]] + 1 : height[i];
        for (int c = 1; c < k; c++)
            best = logits[i * k + c] > logits[i * k + best] ? c : best;
        int h = height[i] < HEIGHTS ? height[i] : HEIGHTS - 1;
        r->nodes += truth >= 0;
        r->at[h] += truth >= 0;
        r->right += truth == best;
        r->right_at[h] += truth == best;
        r->roots += i + 1 == t->count && truth == best;
    }
    r->trees++;
    free(height);
}

static result evaluate(const net *m, const trees *d)
{
    enum { TOGETHER = 64 };
    result r = {.trees = 0};
    for (int from = 0; from < d->count && sg_ok(m->g); from += TOGETHER) {
        int n = d->count - from < TOGETHER ? d->count - from : TOGETHER;
        sg_tensor *logits[TOGETHER];
        for (int i = 0; i < n; i++)
            logits[i] = judge(m, &d->tree[from + i], NULL);
        sg_eval_(n, logits);
        for (int i = 0; i < n && sg_ok(m->g); i++)
            add_tree(m, &r, &d->tree[from + i], sg_data(logits[i]));
        sg_reset(m->g);
    }
    return r;
}

static double score(void *user, progress *p)
{
    learner *k = user;
    result r = evaluate(&k->m, &k->valid);
    progress_metric(p, "valid_nodes", 100 * (double)r.right / (double)r.nodes);
    return 1 - r.roots / (double)r.trees;
}

/* Leaves out the trees whose root has no label, as neutral ones have none of two classes. */
static void keep_labelled(const net *m, trees *t)
{
    int n = 0;
    for (int i = 0; i < t->count; i++)
        if (label_of(m, &t->tree[i].node[t->tree[i].count - 1]) >= 0)
            t->tree[n++] = t->tree[i];
    t->count = n;
}

static net learn(sg_context *g, const program *p, trees *train, trees *valid)
{
    settings *s = p->settings;
    sg_tokenizer words = {.casing = s->lower ? SG_CASE_LOWER : SG_CASE_KEEP};
    learner k = {.random = (uint64_t)s->t.seed};
    k.m = make_net(g, s, trees_vocabulary(g, train, words, s->min_count));
    keep_labelled(&k.m, train);
    keep_labelled(&k.m, valid);
    k.train = *train;
    k.valid = *valid;
    k.order = malloc((size_t)train->count * sizeof *k.order + 1);
    if (sg_ok(g) && (!k.order || !train->count))
        sg_fail(g, SG_BAD_ARGUMENT, "there is no tree with a label to learn from");
    fprintf(stderr, "%d trees, %d held out, %d words\n", train->count, valid->count,
            sg_vocabulary_size(k.m.words) - SG_RESERVED);
    int64_t steps = (train->count + s->t.batch - 1) / s->t.batch;
    program_train(g, &s->t,
                  (lesson){&k, steps, false, next, valid->count ? score : NULL, "valid_error"});
    if (sg_ok(g)) {
        sg_set_meta(g, "words", sg_vocabulary_json(k.m.words));
        program_save(g, p);
    }
    free(k.order);
    return k.m;
}

static result print_json(const net *m, const trees *t)
{
    result r = evaluate(m, t);
    if (sg_ok(m->g))
        printf("{\"accuracy\": %.4f, \"node_accuracy\": %.4f, \"trees\": %d, \"nodes\": %lld}\n",
               100 * r.roots / (double)r.trees, 100 * (double)r.right / (double)r.nodes, r.trees,
               (long long)r.nodes);
    fflush(stdout);
    return r;
}

/* A tree with what is told of each of its nodes. */
static void tell(const net *m, const tree *t)
{
    int32_t *truth = malloc((size_t)t->count * sizeof *truth);
    const int32_t *told = sg_data(sg_argmax(judge(m, t, NULL), -1, false));
    for (int i = 0; i < t->count && truth; i++)
        truth[i] = label_of(m, &t->node[i]);
    if (told && truth)
        trees_print(stdout, t, told, truth, signs[m->s.classes]);
    free(truth);
    sg_reset(m->g);
}

/* ---- the default: generated judgements 生成的评价 -------------------------------------------- */

/* How many nodes of the graph of a step there are, and in how many steps they are computed. */
static void show_batching(const net *m, const trees *t)
{
    enum { TREES = 25 };
    sg_tensor *logits[TREES];
    for (int i = 0; i < TREES; i++)
        logits[i] = judge(m, &t->tree[i], NULL);
    sg_plan_info plan = sg_plan_infos(TREES, logits);
    if (sg_ok(m->g))
        printf("%d trees are a graph of %lld nodes, computed in %lld steps 自动批处理\n", TREES,
               (long long)plan.nodes, (long long)plan.steps);
    sg_reset(m->g);
}

static void run_generated(sg_context *g, const program *p)
{
    enum { LEVELS = 5, DEEP = 9 };
    settings *s = p->settings;
    uint64_t seed = (uint64_t)s->t.seed;
    trees train = trees_made_up(g, seed, 1500, LEVELS),
          valid = trees_made_up(g, seed + 1, 300, LEVELS);
    trees deep = trees_made_up(g, seed + 2, 300, DEEP);
    net m = learn(g, p, &train, &valid);
    if (sg_ok(g))
        print_json(&m, &valid);
    if (sg_ok(g))
        printf("\ndeeper trees than it has learned from 更深的树:\n");
    result r = print_json(&m, &deep);
    for (int h = 1; h <= DEEP && sg_ok(g); h++)
        if (r.at[h])
            printf("  height %d: %6.2f %% of %lld%s\n", h,
                   100 * (double)r.right_at[h] / (double)r.at[h], (long long)r.at[h],
                   h > LEVELS ? ", never seen" : "");
    static const char *const line[] = {
        "(not ((very (long (and weak))) (but (not ((a wonder) (and superb))))))"};
    trees one = trees_parse(g, "example", 1, line);
    if (sg_ok(g)) {
        putchar('\n');
        tell(&m, &one.tree[0]);
        show_batching(&m, &train);
    }
    free_net(&m);
    trees_free(&one);
    trees_free(&train);
    trees_free(&valid);
    trees_free(&deep);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    trees train = trees_read(g, s->t.train, "train"), valid = trees_read(g, s->t.valid, "valid");
    if (sg_ok(g)) {
        net m = learn(g, p, &train, &valid);
        if (sg_ok(g))
            print_json(&m, &valid);
        free_net(&m);
    }
    trees_free(&train);
    trees_free(&valid);
}

static net load(sg_context *g, const program *p)
{
    program_load(g, p);
    return make_net(g, p->settings, sg_vocabulary_parse(g, sg_meta(g, "words")));
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net m = load(g, p);
    trees t = trees_read(g, s->t.test, "test");
    keep_labelled(&m, &t);
    if (program_some(g, p, t.count))
        print_json(&m, &t);
    trees_free(&t);
    free_net(&m);
}

static void run_use(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net m = load(g, p);
    trees t = trees_parse(g, "--text", 1, (const char *[]){s->text ? s->text : "()"});
    if (sg_ok(g) && t.count)
        tell(&m, &t.tree[0]);
    trees_free(&t);
    free_net(&m);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Trees of phrases and what each says. Without a command: learns generated judgements, "
        "with\n"
        "no file needed. train: from a tree a line, (3 (2 It) (4 works)), whose labels are 0..4.\n"
        "evaluate: one line of JSON. use: tells what each node of one tree says.";
    static const char *const classes[] = {"five", "binary", NULL};
    static const char *const cells[] = {"binary", "child-sum", NULL};
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "tree_sentiment.safetensors", .batch = 25,
                        .epochs = 8, .lr = 0.005, .clip = 5},
                  .embed = 32,
                  .hidden = 48,
                  .min_count = 1};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "a tree a line"),
        {"lower", "lower-case words", .flag = &s.lower},
        {"min-count", "rarer words are <unk>", .integer = &s.min_count, .low = 1, .high = 1e9},
        {.help = "Model"},
        {"classes", "binary: without what is neutral", .choice = &s.classes, .choices = classes},
        {"cell", "what is made of children: of two by weights for each, of any number by their sum",
         .choice = &s.cell, .choices = cells},
        {"embed", "features of a word", .integer = &s.embed, .low = 1, .high = 65536},
        {"hidden", "units of a node", .integer = &s.hidden, .low = 1, .high = 65536},
        {"dropout", "on words, and on states before the output", .number = &s.dropout, .low = 0,
         .high = 0.95},
        {"word-dropout", "share of words that training hides", .number = &s.word_dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        {.help = "Use"},
        {"text", "a tree to be judged, with or without labels", .text = &s.text},
        {0}};
    static const command commands[] = {{"", run_generated},
                                       {"train", run_train},
                                       {"evaluate", run_evaluate},
                                       {"use", run_use},
                                       {0}};
    return program_main(argc, argv, &(program){"tree_sentiment", about, table, &s.t, commands, &s});
}
