/* Core's error messages, word for word: a wrong call, its status, what it says. */
#include "ops/ops.h"
#include "tests/ops_test.h"

#include <math.h>
#include <unistd.h>

static const float six[6] = {1, 2, 3, 4, 5, 6};

static sg_tensor *x23(sg_context *g)
{
    return sg_input(g, SG_F32, SG_SHAPE(2, 3), six);
}

static void reshape_negative(sg_context *g)
{
    sg_reshape(x23(g), SG_SHAPE(-1, -1));
}
static void reshape_undetermined(sg_context *g)
{
    sg_reshape(sg_input(g, SG_F32, SG_SHAPE(0, 3), NULL), SG_SHAPE(-1, 0));
}
static void reshape_size(sg_context *g)
{
    sg_reshape(x23(g), SG_SHAPE(4, 2));
}
static void reshape_unknown(sg_context *g)
{
    sg_reshape(x23(g), SG_SHAPE(-1, 4));
}
static void broadcast(sg_context *g)
{
    sg_broadcast_to(x23(g), SG_SHAPE(4, 3));
}
static void sum(sg_context *g)
{
    sg_sum_to(x23(g), SG_SHAPE(2, 2));
}
static void add_n(sg_context *g)
{
    sg_add_n(2, (sg_tensor *[]){x23(g), sg_input(g, SG_F32, SG_SHAPE(2), NULL)});
}
static void item(sg_context *g)
{
    cr_expect(isnan(sg_item(x23(g))));
}
static void gradient_contexts(sg_context *g)
{
    sg_context *h = sg_open();
    sg_tensor *y = sg_scalar(g, SG_F32, 1), *x = sg_scalar(h, SG_F32, 1), *d;
    sg_grad(y, 1, &x, &d);
    cr_expect(sg_is_nil(d));
    sg_fail(g, SG_BAD_CONTEXT, "%s", sg_errmsg(h)); /* it is told to the context of xs */
    sg_close(h);
}
static void gradient_by_constant(sg_context *g)
{
    sg_tensor *one = sg_like(x23(g), 1), *d;
    sg_grad(sg_exp(one), 1, &one, &d);
}

static void gradient_seed(sg_context *g)
{
    sg_tensor *y = x23(g), *d;
    sg_vjp(y, sg_scalar(g, SG_F32, 1), 1, &y, &d);
}
static void check_integer(sg_context *g)
{
    sg_tensor *i = sg_input(g, SG_I32, SG_SHAPE(2), NULL);
    sg_gradcheck(sg_cast(i, SG_F32), 1, &i);
}
static void check_of_integer(sg_context *g)
{
    sg_tensor *x = x23(g);
    sg_gradcheck(sg_cast(x, SG_I32), 1, &x);
}
static void check_nothing(sg_context *g)
{
    sg_gradcheck(x23(g), 0, NULL, .order = 2);
}
static void bad_init(sg_context *g)
{
    sg_param(g, "p", SG_SHAPE(2), (sg_init)99);
}
static void long_name(sg_context *g)
{
    char name[400];
    memset(name, 'n', sizeof name);
    name[399] = 0;
    sg_param(g, name, SG_SHAPE(2));
}
static void buffer_type(sg_context *g)
{
    sg_buffer(g, "b", (sg_dtype)9, SG_SCALAR, 0);
}
static void input_type(sg_context *g)
{
    sg_input(g, (sg_dtype)-1, SG_SCALAR, NULL);
}
static void group(sg_context *g)
{
    sg_group(g, "*", NAN, 1);
}
static void scopes(sg_context *g)
{
    for (int i = 0; i < 65; i++)
        sg_push(g, "s", NULL);
}
static void pops(sg_context *g)
{
    sg_push(g, "s", NULL);
    sg_pop(g);
    sg_pop(g);
}
static void dim(sg_context *g)
{
    cr_expect(sg_dim(x23(g), 2) == 0);
}
static void borrow(sg_context *g)
{
    sg_borrow(g, SG_F32, SG_SHAPE(2), NULL);
}
static void set_leaf(sg_context *g)
{
    sg_set(x23(g), six);
}
static void set_nothing(sg_context *g)
{
    sg_set(sg_param(g, "p", SG_SHAPE(2)), NULL);
}
static void own_key(sg_context *g)
{
    sg_set_meta(g, "seqgrad.x", "");
}
static bool nothing(const sg_call *c)
{
    return c != NULL;
}
static bool silent(sg_infer *i)
{
    return i == NULL;
}
static sg_tensor *no_vjp(const sg_vjp_call *v, int i)
{
    return v && i < 0 ? v->g : NULL;
}
static bool like_x(sg_infer *i)
{
    i->shape = sg_shape_of(i->in[0]);
    return true;
}
static void rank_nine(sg_context *g)
{
    sg_reshape(x23(g), (sg_shape){9, {2, 3, 1, 1, 1, 1, 1, 1}});
}
static void rank_many(sg_context *g)
{
    sg_broadcast_to(x23(g), (sg_shape){100000, {2, 3}});
}
static void rank_negative(sg_context *g)
{
    sg_full(g, SG_F32, (sg_shape){-3, {2}}, 1);
}
static void unsavable(sg_context *g)
{
    sg_param(g, "__metadata__", SG_SHAPE(1));
}
static void no_text(sg_context *g)
{
    sg_set_meta(g, "k", NULL);
}
static void bad_gain(sg_context *g)
{
    sg_param(g, "gain", SG_SHAPE(1), .gain = NAN);
}
static void bad_fill(sg_context *g)
{
    sg_buffer(g, "fill", SG_U8, SG_SHAPE(1), -7);
}
static void no_way(sg_context *g)
{
    static const sg_op op = {.name = "one", .args = "x", .arity = 1};
    sg_tensor *x = x23(g);
    sg_record(&op, NULL, 1, &x);
}
static void no_message(sg_context *g)
{
    static const sg_op op = {
        .name = "one", .args = "x", .arity = 1, .infer = silent, .run = nothing};
    sg_tensor *x = x23(g);
    sg_record(&op, NULL, 1, &x);
}
static void no_kernel(sg_context *g)
{
    static sg_map *const map[SG_DTYPES][SG_ISAS];
    static const sg_op op = {.name = "one", .args = "x", .arity = 1, .map = map};
    sg_tensor *x = x23(g);
    sg_record(&op, NULL, 1, &x);
}
static void null_cotangent(sg_context *g)
{
    static const sg_op op = {
        .name = "one", .args = "x", .arity = 1, .infer = like_x, .run = nothing, .vjp = no_vjp};
    sg_tensor *x = x23(g), *d;
    sg_vjp(sg_record(&op, NULL, 1, &x), x, 1, &x, &d);
}
static void independent(sg_context *g)
{
    sg_tensor *xs[2] = {x23(g), x23(g)};
    sg_gradcheck(sg_exp(xs[0]), 2, xs);
}
static void operands(sg_context *g)
{
    static const sg_op op = {.name = "two", .args = "x y", .arity = 2, .run = nothing};
    sg_tensor *x = x23(g);
    sg_record(&op, NULL, 1, &x);
}

static sg_tensor *huge(sg_context *g)
{
    return sg_full(g, SG_F32, SG_SHAPE(INT64_C(1) << 31), 0); /* one number, repeated */
}
static void huge_argmax(sg_context *g)
{
    sg_argmax(huge(g), 0, false);
}
static void huge_sort(sg_context *g)
{
    sg_argsort(huge(g), 0, false);
}
static void reverse_rank(sg_context *g)
{
    sg_reverse_sequence(sg_input(g, SG_F32, SG_SHAPE(2), NULL), (int[]){1, 1});
}

Test(core_errors, say_what_is_wrong)
{
    static const struct {
        void (*call)(sg_context *g);
        sg_status status;
        const char *message;
    } rows[] = {
        {reshape_negative, SG_BAD_SHAPE, "reshape: not a shape to reshape to: x[2,3]"},
        {reshape_undetermined, SG_BAD_SHAPE,
         "reshape: -1 is undetermined beside a size of 0: x[0,3]"},
        {reshape_size, SG_BAD_SHAPE, "reshape: 6 elements do not make [4,2]: x[2,3]"},
        {reshape_unknown, SG_BAD_SHAPE, "reshape: 6 elements do not make [-1,4]: x[2,3]"},
        {broadcast, SG_BAD_SHAPE, "broadcast_to: does not broadcast to [4,3]: x[2,3]"},
        {sum, SG_BAD_SHAPE, "sum_to: does not sum to [2,2]: x[2,3]"},
        {add_n, SG_BAD_SHAPE, "add_n: shapes or types differ: [2,3], [2]"},
        {item, SG_BAD_SHAPE, "sg_item: a tensor [2,3] has not one element"},
        {gradient_contexts, SG_BAD_CONTEXT, "gradient: operands of two contexts"},
        {gradient_by_constant, SG_BAD_ARGUMENT,
         "gradient: by a constant of sg_like: use sg_scalar"},
        {gradient_seed, SG_BAD_SHAPE,
         "gradient: the cotangent must be floats of y's shape and type: y[2,3], cotangent[]"},
        {check_integer, SG_BAD_DTYPE, "gradcheck: by a tensor of i32"},
        {check_of_integer, SG_BAD_DTYPE, "gradcheck: of a tensor of i32"},
        {check_nothing, SG_BAD_ARGUMENT, "gradcheck: 0 tensors, order 2"},
        {bad_init, SG_BAD_ARGUMENT, "\"p\": no such initial values (99)"},
        {long_name, SG_BAD_ARGUMENT, NULL},
        {buffer_type, SG_BAD_DTYPE, "\"b\": no such type (9)"},
        {input_type, SG_BAD_DTYPE, "input: no such type (-1)"},
        {group, SG_BAD_ARGUMENT, "sg_group \"*\": rate nan, decay 1"},
        {scopes, SG_BAD_ARGUMENT, NULL},
        {pops, SG_BAD_ARGUMENT, "sg_pop without sg_push"},
        {dim, SG_BAD_SHAPE, "sg_dim: axis 2 of a tensor of rank 2"},
        {borrow, SG_BAD_ARGUMENT, "sg_borrow: no array"},
        {set_leaf, SG_BAD_ARGUMENT, "sg_set: no parameter or buffer"},
        {set_nothing, SG_BAD_ARGUMENT, "sg_set: no array"},
        {operands, SG_BAD_ARGUMENT, "two: 1 operands"},
        {rank_nine, SG_BAD_SHAPE, "reshape: a shape of 9 axes: at most 8 are possible: x[2,3]"},
        {rank_many, SG_BAD_SHAPE,
         "broadcast_to: a shape of 100000 axes: at most 8 are possible: x[2,3]"},
        {rank_negative, SG_BAD_SHAPE,
         "broadcast_to: a shape of -3 axes: at most 8 are possible: x[]"},
        {unsavable, SG_BAD_ARGUMENT, "the name \"__metadata__\" cannot be saved"},
        {no_text, SG_BAD_ARGUMENT, "sg_set_meta: no text"},
        {bad_gain, SG_BAD_ARGUMENT, "\"gain\": a gain of nan"},
        {bad_fill, SG_BAD_ARGUMENT, "-7 does not fit into u8"},
        {no_way, SG_BAD_ARGUMENT, "one: has no way to run: no map, view, parts or run"},
        {no_message, SG_BAD_SHAPE, "one: refused: x[2,3]"},
        {no_kernel, SG_BAD_DTYPE, "one: has no kernel for f32: x[2,3]"},
        {null_cotangent, SG_BAD_ARGUMENT, "one: its vjp returned NULL: x[2,3]"},
        {independent, SG_BAD_ARGUMENT, "gradcheck: y does not depend on xs[1]"},
        {own_key, SG_BAD_ARGUMENT, "the key \"seqgrad.x\" is one of seqgrad's own"},
        {huge_argmax, SG_BAD_SHAPE,
         "argmax: more elements than an i32 index can name: x[2147483648]"},
        {huge_sort, SG_BAD_SHAPE,
         "argsort: more elements than an i32 index can name: x[2147483648]"},
        {reverse_rank, SG_BAD_SHAPE, "reverse_sequence: x is not [batch, time, ...]"},
    };
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rows[i].call(g);
        cr_expect(sg_error(g) == rows[i].status, "row %zu: status %s", i,
                  sg_status_name(sg_error(g)));
        if (rows[i].message)
            cr_expect(strcmp(sg_errmsg(g), rows[i].message) == 0, "row %zu: \"%s\", not \"%s\"", i,
                      sg_errmsg(g), rows[i].message);
        else if (rows[i].call == long_name)
            cr_expect(strstr(sg_errmsg(g), "the name \"nnnn") &&
                      strstr(sg_errmsg(g), "is too long"));
        else
            cr_expect(strstr(sg_errmsg(g), "scopes are open: a pop is missing") != NULL);
        sg_clear(g);
        cr_expect(sg_item(sg_sum(x23(g), SG_ALL_AXES, false)) == 21, "row %zu: usable again", i);
    }
    sg_close(g);
    g = sg_open(.threads = -1);
    cr_expect_str_eq(sg_errmsg(g), "-1 threads");
    sg_close(g);
}

Test(core_errors, of_model_files)
{
    char path[] = "/tmp/test_core_errors_XXXXXX", text[200];
    close(mkstemp(path));
    sg_context *g = sg_open(), *h = sg_open();
    sg_param(g, "a", SG_SHAPE(2, 3));
    sg_buffer(g, "n", SG_I32, SG_SCALAR, 7);
    sg_set_meta(g, "config", "{}");
    cr_assert(sg_save(g, path) == SG_OK, "%s", sg_errmsg(g));

    cr_expect(sg_load(h, path) == SG_OK && sg_param(h, "a", SG_SHAPE(2, 3)) == sg_find(h, "a"));
    cr_expect(!sg_is_buffer(sg_find(h, "a")) && sg_is_buffer(sg_find(h, "n")));
    cr_expect(sg_item(sg_find(h, "n")) == 7 && strcmp(sg_meta(h, "config"), "{}") == 0);
    cr_expect_arr_eq(sg_data(sg_find(h, "a")), sg_data(sg_find(g, "a")), 24);
    sg_param(h, "b", SG_SHAPE(2));
    snprintf(text, sizeof text, "%s: has no \"b\"", path);
    cr_expect_str_eq(sg_errmsg(h), text);
    sg_close(h);

    h = sg_open();
    sg_param(h, "a", SG_SHAPE(2, 3));
    sg_param(h, "c", SG_SHAPE(1));
    sg_load(h, path);
    snprintf(text, sizeof text, "%s: has no \"c\"", path);
    cr_expect_str_eq(sg_errmsg(h), text);
    sg_close(h);

    h = sg_open();
    sg_param(h, "a", SG_SHAPE(3, 2), SG_ZEROS);
    sg_load(h, path);
    snprintf(text, sizeof text, "%s: \"a\" is f32[2,3] there, f32[3,2] here", path);
    cr_expect_str_eq(sg_errmsg(h), text);
    sg_clear(h);
    cr_expect(sg_item(sg_sum(sg_find(h, "a"), SG_ALL_AXES, false)) == 0, "nothing was changed");
    cr_expect(sg_find(h, "n") == NULL);
    sg_load_tensors(h, path, "");
    cr_expect_str_eq(sg_errmsg(h), "\"a\" is there already");
    sg_clear(h);
    cr_expect(sg_load_tensors(h, path, "other.") == SG_OK && sg_find(h, "other.a"));
    char prefix[300];
    memset(prefix, 'p', sizeof prefix);
    prefix[299] = 0;
    sg_load_tensors(h, path, prefix);
    cr_expect(strstr(sg_errmsg(h), "the name \"a…\" is too long") != NULL, "%s", sg_errmsg(h));
    sg_clear(h);
    sg_context *k = sg_share(h);
    sg_load(h, path);
    snprintf(text, sizeof text, "%s: not loaded while several contexts share", path);
    cr_expect_str_eq(sg_errmsg(h), text);
    sg_close(k);
    sg_close(h);
    sg_close(g);
    unlink(path);
}
