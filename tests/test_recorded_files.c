/* Files of other programs, recorded by tests/oracle/files.py: word vectors of gensim; a state dict
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

/* In the order of their names, as PyTorch has them: rows of outputs. */
enum { TABLE, OUT_B, OUT_W, RNN_BH, RNN_B, RNN_WH, RNN_W, STATES };
static const char *const names[STATES] = {"embedding.weight", "out.bias",       "out.weight",
                                          "rnn.bias_hh_l0",   "rnn.bias_ih_l0", "rnn.weight_hh_l0",
                                          "rnn.weight_ih_l0"};

static void check_state_dict(sg_dtype d)
{
    tape t = open_tape(d, (recording)RECORDING(state_expected));
    cr_assert(sg_load_tensors(t.g, "a", "torch.") == SG_OK, "%s", sg_errmsg(t.g));
    for (int i = 0; i < STATES; i++) {
        char name[40];
        snprintf(name, sizeof name, "torch.%s", names[i]);
        sg_tensor *x = sg_find(t.g, name);
        cr_assert(x, "%s", name);
        t.xs[t.n++] = sg_cast(x, d);
    }
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
