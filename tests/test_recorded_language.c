/* Language models by Transformers, heads that turn, positions: against recordings of
 * tests/oracle/language.py, in single and in double precision, values and gradients. */
#include "models/models.h"
#include "tests/oracle/language.h"
#include "tests/recorded.h"

static void check_model(sg_dtype d, bool rotary)
{
    static const recording r[] = {RECORDING(gpt2), RECORDING(gpt_neox)};
    tape t = open_tape(d, r[rotary]);
    sg_tensor *words = sg_embedding(t.g, "words", WORDS, SIZE, .dtype = d);
    sg_transformer m = sg_make_transformer(
        t.g, "m", SIZE, rotary ? 1 : 2, BLOCKS, WIDE, .causal = true,
        .positions = rotary ? SG_ROTARY : SG_LEARNED, .most = rotary ? 0 : TIME, .dtype = d);
    sg_affine out = {0};
    if (rotary)
        out = sg_linear(t.g, "out", SIZE, WORDS, .no_bias = true, .dtype = d);
    else
        sg_tied("out", words);
    leaf_parameters(&t);
    if (!rotary)
        out = sg_tied("out", words); /* as they are now */
    sg_tensor *ids = sg_input(t.g, SG_I32, SG_SHAPE(BATCH, TIME), language_ids);
    all_agree(&t, sg_apply(out, sg_transform(&m, sg_take(words, ids))));
}

Test(recorded_language, models)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        check_model((sg_dtype)d, false);
        check_model((sg_dtype)d, true);
    }
}

/* The halves of each head's features are the pairs, as in LLaMA's attention, which sees the past
 * only. */
Test(recorded_language, positions_that_turn)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        tape t = open_tape((sg_dtype)d, (recording)RECORDING(turned));
        sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, HEADS, TIME, TURNED / HEADS));
        all_agree(&t, sg_rotate(x, START));

        t = open_tape((sg_dtype)d, (recording)RECORDING(turned_heads));
        sg_heads a = sg_make_heads(t.g, "m", TURNED, HEADS, .rotary = true, .dtype = (sg_dtype)d);
        x = leaf(&t, SG_SHAPE(1, TIME, TURNED));
        leaf_parameters(&t);
        all_agree(&t, sg_attend_heads(&a, x, NULL, sg_causal_mask(t.g, TIME, TIME)).context);
    }
}

Test(recorded_language, sinusoids)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        tape t = open_tape((sg_dtype)d, (recording)RECORDING(sinusoids));
        all_agree(&t, sg_sinusoids(t.g, (sg_dtype)d, 0, TIME, SIZE));
    }
}
