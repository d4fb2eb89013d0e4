/* Files of other programs, recorded by tests/oracle/files.py: word vectors of gensim; state dicts
 * of PyTorch, with which our layers compute what PyTorch's do. */
#include "models/models.h"
#include "tests/oracle/files.h"
#include "tests/recorded.h"
#include "tests/text_test.h"

static void check_vectors(const char *name, sg_vectors_format format)
{
    sg_context *g = sg_open();
    sg_vectors *v = sg_vectors_read(g, "a", format);
    cr_assert(v && v->count == WORDS && v->size == SIZE, "%s: %s", name, sg_errmsg(g));
    for (int i = 0; i < WORDS; i++)
        cr_expect_str_eq(v->words[i], gensim_words[i]);
    for (int i = 0; i < WORDS * SIZE; i++)
        cr_expect(fabs(v->values[i] - gensim_values[i]) < 1e-8, "%s, number %d: %.9g", name, i,
                  v->values[i]);
    sg_vectors_free(v);
    sg_close(g);
}

Test(recorded_files, word_vectors)
{
    folder f = enter();
    write_file("a", gensim_text, sizeof gensim_text);
    check_vectors("text", SG_WORD2VEC);
    write_file("a", gensim_binary, sizeof gensim_binary);
    check_vectors("binary", SG_WORD2VEC_BINARY);
    leave(&f);
}

/* ---- state dicts ---------------------------------------------------------------------------- */

/* What a file has, as PyTorch has it: rows of outputs. x are leaves in the order of the names. */
typedef struct tensors {
    int n;
    const char *const *names;
    sg_tensor **x;
} tensors;

static tensors load(tape *t, int n, const char *const *names)
{
    tensors f = {n, names, t->xs + t->n};
    cr_assert(sg_load_tensors(t->g, "a", "torch.") == SG_OK, "%s", sg_errmsg(t->g));
    for (int i = 0; i < n; i++) {
        char name[40];
        snprintf(name, sizeof name, "torch.%s", names[i]);
        sg_tensor *x = sg_find(t->g, name);
        cr_assert(x, "%s", name);
        t->xs[t->n++] = sg_cast(x, t->dtype);
    }
    return f;
}

/* In the order of their names. */
enum { TABLE, OUT_B, OUT_W, RNN_BH, RNN_B, RNN_WH, RNN_W, STATES };
static const char *const names[STATES] = {"embedding.weight", "out.bias",       "out.weight",
                                          "rnn.bias_hh_l0",   "rnn.bias_ih_l0", "rnn.weight_hh_l0",
                                          "rnn.weight_ih_l0"};

static void check_state_dict(sg_dtype d)
{
    tape t = open_tape(d, (recording)RECORDING(state_expected));
    load(&t, STATES, names);
    sg_cell gru = sg_gru(t.g, "gru", SIZE, HIDDEN, .reset = SG_RESET_AFTER, .dtype = d);
    gru.wx = sg_transpose(t.xs[RNN_W], 0, 1);
    gru.wh = sg_transpose(t.xs[RNN_WH], 0, 1);
    gru.b = t.xs[RNN_B];
    gru.bh = t.xs[RNN_BH];
    sg_affine out = {sg_transpose(t.xs[OUT_W], 0, 1), t.xs[OUT_B]};
    sg_tensor *ids = sg_input(t.g, SG_I32, SG_SHAPE(BATCH, TIME), state_ids);
    all_agree(&t, sg_apply(out, sg_unroll(gru, sg_take(t.xs[TABLE], ids))));
}

Test(recorded_files, state_dict)
{
    folder f = enter();
    write_file("a", state_dict, sizeof state_dict);
    for (int d = SG_F32; d <= SG_F64; d++)
        check_state_dict((sg_dtype)d);
    leave(&f);
}

static sg_tensor *of(const tensors *f, const char *layer, const char *what)
{
    char name[40];
    snprintf(name, sizeof name, "%s%s", layer, what);
    int i = 0;
    while (i < f->n && strcmp(f->names[i], name) != 0)
        i++;
    cr_assert(i < f->n, "%s", name);
    return f->x[i];
}

static sg_affine affine(const tensors *f, const char *layer, const char *w, const char *b)
{
    return (sg_affine){sg_transpose(of(f, layer, w), 0, 1), of(f, layer, b)};
}

/* Gates come in the order I F G O here and there; one bias is the sum of two. */
static sg_cell lstm_of(tape *t, const tensors *f, const char *layer, int in)
{
    sg_cell p = sg_lstm(t->g, layer, in, UNITS, .dtype = t->dtype);
    p.wx = sg_transpose(of(f, "weight_ih_", layer), 0, 1);
    p.wh = sg_transpose(of(f, "weight_hh_", layer), 0, 1);
    p.b = sg_add(of(f, "bias_ih_", layer), of(f, "bias_hh_", layer));
    return p;
}

static void check_lstm(sg_dtype d)
{
    tape t = open_tape(d, (recording)RECORDING(lstm_expected));
    sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE)), *h[4], *c[4];
    tensors f = load(&t, sizeof lstm_names / sizeof *lstm_names, lstm_names);
    sg_cell fw[] = {lstm_of(&t, &f, "l0", SIZE), lstm_of(&t, &f, "l1", 2 * UNITS)};
    sg_cell bw[] = {lstm_of(&t, &f, "l0_reverse", SIZE), lstm_of(&t, &f, "l1_reverse", 2 * UNITS)};
    sg_state final[4];
    sg_tensor *y = sg_deep(2, fw, bw, x, .final = final);
    for (int i = 0; i < 4; i++) {
        h[i] = final[i].h;
        c[i] = final[i].c;
    }
    all_agree(&t, y, sg_stack_(0, 4, h), sg_stack_(0, 4, c));
}

static sg_norm norm_of(const tensors *f, const char *layer)
{
    return (sg_norm){of(f, layer, ".weight"), of(f, layer, ".bias")};
}

static void check_encoder(sg_dtype d)
{
    tape t = open_tape(d, (recording)RECORDING(encoder_expected));
    sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, FEATURES));
    tensors f = load(&t, sizeof encoder_names / sizeof *encoder_names, encoder_names);
    sg_transformer m =
        sg_make_transformer(t.g, "m", FEATURES, HEADS, 1, WIDE, .positions = SG_NO_POSITIONS,
                            .post_norm = true, .relu = true, .dtype = d);
    sg_block *p = &m.block[0];
    p->self.qkv = affine(&f, "self_attn", ".in_proj_weight", ".in_proj_bias");
    p->self.out = affine(&f, "self_attn", ".out_proj.weight", ".out_proj.bias");
    p->widen = affine(&f, "linear1", ".weight", ".bias");
    p->narrow = affine(&f, "linear2", ".weight", ".bias");
    p->norm[0] = norm_of(&f, "norm1");
    p->norm[2] = norm_of(&f, "norm2");
    all_agree(&t, sg_transform(&m, x));
}

Test(recorded_files, state_dicts_of_layers)
{
    folder f = enter();
    for (int d = SG_F32; d <= SG_F64; d++) {
        write_file("a", lstm, sizeof lstm);
        check_lstm((sg_dtype)d);
        write_file("a", encoder, sizeof encoder);
        check_encoder((sg_dtype)d);
    }
    leave(&f);
}
