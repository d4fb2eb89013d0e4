/* NULL, and structs of zeros, where something is needed. A context that is NULL is inert, as one is
 * that could not be opened; no call ends the process. */
#include "models/models.h"
#include "ops/ops.h"
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <math.h>

static sg_tensor *x; /* [2,3,4] */

static void context(sg_context *g)
{
    cr_expect(!sg_ok(NULL) && sg_error(NULL) != SG_OK && !sg_training(NULL));
    cr_expect_str_eq(sg_errmsg(NULL), "no context: none was given, or there was no memory for one");
    sg_push(NULL, "a", "b");
    sg_pop(NULL);
    sg_reset(NULL);
    sg_clear(NULL);
    sg_train(NULL, true);
    sg_debug(NULL, true);
    sg_forget_plans(NULL);
    cr_expect(sg_is_nil(sg_fail(NULL, SG_IO, "to nobody")));
    cr_expect(!sg_ok(sg_share(NULL)));
    cr_expect(sg_stats(NULL).nodes == 0 && sg_infos(NULL).threads == 0);
    cr_expect(!sg_room(NULL, 8) && sg_is_nil(sg_stream(NULL)) && sg_site(NULL) == 0);
    cr_expect(sg_is_nil(sg_add(sg_input(NULL, SG_F32, SG_SCALAR, NULL), NULL)));
    cr_expect(sg_is_nil(sg_borrow(NULL, SG_F32, SG_SCALAR, g)));
    cr_expect(sg_is_nil(sg_scalar(NULL, SG_F32, 1)) &&
              sg_is_nil(sg_full(NULL, SG_F32, SG_SHAPE(2), 1)));
    cr_expect(sg_is_nil(sg_random_normal(NULL, SG_F32, SG_SHAPE(2))));
    cr_expect(sg_is_nil(sg_length_mask(NULL, 1, 2, NULL)));
}

static void parameters(sg_context *g)
{
    cr_expect(sg_is_nil(sg_param(NULL, "w", SG_SHAPE(2))));
    cr_expect(sg_is_nil(sg_buffer(NULL, "b", SG_F32, SG_SHAPE(2), 0)));
    cr_expect(!sg_find(NULL, "w") && !sg_next_param(NULL, NULL, true));
    cr_expect(sg_freeze(NULL, "*", true) == 0 && sg_group(NULL, "*", 1, 1) == 0);
    sg_set_meta(NULL, "k", "v");
    cr_expect(!sg_meta(NULL, "k"));
    cr_expect(sg_save(NULL, "") && sg_load(NULL, "") && sg_load_tensors(NULL, "", ""));
    cr_expect(sg_profile(NULL, true) != SG_OK);
    sg_profile_print(NULL, g, 0);
    sg_profile_print(stdout, NULL, 0);
    sg_profile_trace(NULL, g);
    sg_dump_plan(NULL, 1, &x);
    sg_dump_plan(stdout, 1, NULL);
}

static void layers(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_lstm(NULL, "l", 4, 5).wx));
    sg_residual((sg_cell){0});
    sg_highway((sg_cell){0}, "n");
    cr_expect(sg_is_nil(sg_zero_state(&(sg_cell){0}, 3).h));
    cr_expect(isnan(sg_truth_rate(NULL, 1)));
    cr_expect(!sg_search(&(sg_stepper){0}, 5).ids && !sg_search(NULL, 5).ids);
    cr_expect(!sg_sample(&(sg_stepper){0}, 5).ids && !sg_sample(NULL, 5).ids);
    cr_expect(!sg_score_of(&(sg_stepper){0}, NULL, 0, NULL, false));
    cr_expect(!sg_score_of(NULL, NULL, 0, NULL, false));
    cr_expect(sg_encode(NULL, "a", 1, NULL) == -1 && !sg_batch_next(NULL, NULL));
    cr_expect(!sg_sequence_of(NULL, NULL, NULL)->ids && !sg_subsequence_next(NULL, NULL));
    cr_expect(sg_subsequences_make(NULL, NULL, 1, 1)->batches == 0);
    sg_encoded e = sg_seq2seq_encode(&(sg_seq2seq){0}, (int32_t[]){1}, 1, 1, NULL);
    cr_expect(sg_is_nil(e.context));
    sg_seq2seq_stepper(&(sg_seq2seq){0}, &(sg_encoded){0});
    cr_expect(!sg_seq2seq_greedy(&(sg_seq2seq){0}, NULL, 1, 1, NULL, 3).ids);
    cr_expect(sg_is_nil(sg_seq2seq_loss(&(sg_seq2seq){0}, &(sg_batch){0}, 0).mean));
}

static void text(sg_context *g)
{
    sg_sequence_free(sg_sequence_of(g, NULL, NULL));
    sg_sequence_free(NULL);
}
static void empty_text(sg_context *g)
{
    sg_subsequences *d = sg_subsequences_make(g, &(sg_sequence){0}, 1, 1);
    cr_expect(!sg_subsequence_next(d, NULL) && !sg_subsequence_next(d, &(sg_subsequence){0}));
    sg_subsequences_free(d);
}
static void no_text(sg_context *g)
{
    sg_subsequences_free(sg_subsequences_make(g, NULL, 1, 1));
    sg_subsequences_free(NULL);
}

static void lists(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_add_n(2, NULL)) && sg_is_nil(sg_add_n(1, NULL)));
    cr_expect(sg_is_nil(sg_concat_(0, 2, NULL)) && sg_is_nil(sg_stack_(0, 2, NULL)));
    cr_expect(sg_eval_(2, NULL) != SG_OK);
}

static void no_op(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_record(NULL, NULL, 1, &x)));
}
static void no_inputs(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_checkpoint(x, 1, NULL)));
}
static void no_tensors(sg_context *g)
{
    sg_tensor *d = NULL;
    sg_grad(sg_sum(x, SG_ALL_AXES, false), 1, NULL, &d);
    cr_expect(g && sg_is_nil(d));
}
static void no_gradients(sg_context *g)
{
    cr_expect(g != NULL);
    sg_vjp(x, x, 1, &x, NULL);
}
static void no_tangents(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_jvp(x, 1, &x, NULL)));
}
static void check(sg_context *g)
{
    cr_expect(g != NULL);
    sg_gradcheck(x, 1, NULL);
}
static void no_optimizer(sg_context *g)
{
    cr_expect(g && sg_step(NULL, sg_sum(x, SG_ALL_AXES, false)) != SG_OK);
}
static void empty_optimizer(sg_context *g)
{
    cr_expect(g && sg_step(&(sg_optimizer){0}, sg_sum(x, SG_ALL_AXES, false)) != SG_OK);
}
static void stopper(sg_context *g)
{
    cr_expect(sg_stopper_done(NULL, g, 1) && sg_stopper_restore(NULL, g) != SG_OK);
}
static void attention(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_attend(NULL, NULL, x).context));
}
static void memory(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_attend(&(sg_attention){0}, NULL, x).context));
}
static void fusion(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_fuse(NULL, x, x)));
}
static void transformer(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_transform(NULL, x)));
}
static void empty_transformer(sg_context *g)
{
    static const sg_transformer empty;
    cr_expect(g && sg_is_nil(sg_transform(&empty, x)));
}
static void cell(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_cell_step(NULL, x, (sg_state){0}).h));
}
static void empty_cell(sg_context *g)
{
    cr_expect(g && sg_is_nil(sg_cell_step(&(sg_cell){0}, x, (sg_state){0}).h));
}

Test(null, ends_no_process)
{
    static const struct {
        void (*call)(sg_context *g);
        const char *message; /* "": there is no context to tell */
    } rows[] = {
        {context, ""},
        {parameters, ""},
        {layers, ""},
        {text, "sequence: no corpus"},
        {empty_text, "subsequences: 0 tokens to predict are too few for 1 rows of 1"},
        {no_text, "subsequences: no sequence, or rows (1) or time (1) that are not positive"},
        {lists, ""},
        {no_op, "sg_record: no op"},
        {no_inputs, "checkpoint: no list of inputs"},
        {no_tensors, "gradient: no list of tensors"},
        {no_gradients, "gradient: no list of gradients"},
        {no_tangents, "jvp: no list of tangents"},
        {check, "gradcheck: no list of tensors"},
        {no_optimizer, "sg_step: no optimizer"},
        {empty_optimizer, "sg_step: no optimizer"},
        {stopper, "stopper: none was given"},
        {attention, "attention: no parameters"},
        {memory, "attention: no memory"},
        {fusion, "fusion: no parameters"},
        {transformer, "transformer: no such model was made"},
        {empty_transformer, "transformer: no such model was made"},
        {cell, "sg_cell_step: no cell"},
        {empty_cell, "sg_cell_step: no cell"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sg_context *g = sg_open();
        x = sg_input(g, SG_F32, SG_SHAPE(2, 3, 4), NULL);
        rows[i].call(g);
        cr_expect(strcmp(sg_errmsg(g), rows[i].message) == 0, "row %zu: \"%s\", not \"%s\"", i,
                  sg_errmsg(g), rows[i].message);
        cr_expect(*rows[i].message == 0 || sg_error(g) == SG_BAD_ARGUMENT, "row %zu", i);
        sg_close(g);
    }
}
