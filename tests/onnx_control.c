/*
 * ONNX's control flow, by C's: a branch that is not taken is not recorded, a loop's body is
 * recorded once for every turn.
 */
#include "tests/onnx_graph.h"

enum { MOST_TURNS = 64 };

/* Runs a graph over what is bound already; its results, in order. */
static bool run_body(node *n, const json_t *body, int given, sg_tensor *const *in, int wanted,
                     sg_tensor **out)
{
    graph *s = n->graph;
    const json_t *inputs = json_object_get(body, "inputs");
    const json_t *outputs = json_object_get(body, "outputs");
    int outside = s->count;
    if ((int)json_array_size(inputs) != given || (int)json_array_size(outputs) != wanted) {
        refuse(n, "a body of other operands or results than are wanted");
        return false;
    }
    for (int i = 0; i < given; i++)
        bind_name(s, json_string_value(json_array_get(inputs, (size_t)i)), in[i]);
    bool good = run_nodes(s, json_object_get(body, "nodes"));
    for (int i = 0; i < wanted && good; i++) {
        out[i] = find_name(s, json_string_value(json_array_get(outputs, (size_t)i)));
        good = out[i] != NULL;
    }
    s->count = outside;
    if (!good)
        refuse(n, "a result of the body is no tensor");
    return good;
}

static sg_tensor *branch(node *n)
{
    bool yes = sg_item(operand(n, 0)) != 0;
    const json_t *body = json_object_get(n->attrs, yes ? "then_branch" : "else_branch");
    return run_body(n, body, 0, NULL, n->results, n->out) ? n->out[0] : nothing(n);
}

/* What a loop carries, and what it collects turn by turn. */
typedef struct turns {
    int states, collected, count;
    sg_tensor *state[MOST_OPERANDS];
    sg_tensor *value[MOST_OPERANDS][MOST_TURNS];
} turns;

static sg_tensor *finish(node *n, turns *t)
{
    for (int i = 0; i < t->states; i++)
        n->out[i] = t->state[i];
    for (int i = 0; i < t->collected && t->count; i++)
        n->out[t->states + i] = sg_stack_(0, t->count, t->value[i]);
    return n->out[0];
}

static bool keep_turn(node *n, turns *t, sg_tensor *const *out)
{
    if (t->count == MOST_TURNS) {
        refuse(n, "too many turns");
        return false;
    }
    for (int i = 0; i < t->states; i++)
        t->state[i] = out[i];
    for (int i = 0; i < t->collected; i++)
        t->value[i][t->count] = out[t->states + i];
    t->count++;
    return true;
}

/* Operands: the most turns, the condition, states. The body's: turn, condition, states; its
 * results: condition, states, what is collected. */
static sg_tensor *loop(node *n)
{
    static turns t;
    t = (turns){.states = n->n - 2, .collected = n->results - (n->n - 2)};
    sg_tensor *in[MOST_OPERANDS], *out[MOST_OPERANDS];
    int64_t most = has(n, 0) ? (int64_t)sg_item(n->in[0]) : INT64_MAX;
    sg_tensor *go = has(n, 1) ? n->in[1] : sg_scalar(n->g, SG_U8, 1);
    if (t.states < 0 || t.collected < 0 || n->results + 2 > MOST_OPERANDS)
        return refuse(n, "not the operands and results of a loop");
    for (int i = 0; i < t.states; i++)
        t.state[i] = operand(n, i + 2);
    for (int64_t turn = 0; turn < most && sg_item(go) != 0 && sg_ok(n->g); turn++) {
        in[0] = sg_scalar(n->g, SG_I32, (double)turn);
        in[1] = go;
        for (int i = 0; i < t.states; i++)
            in[i + 2] = t.state[i];
        if (!run_body(n, json_object_get(n->attrs, "body"), t.states + 2, in, n->results + 1,
                      out) ||
            !keep_turn(n, &t, out + 1))
            return nothing(n);
        go = out[0];
    }
    return finish(n, &t);
}

/* Operands: states, then sequences along their first axis. */
static sg_tensor *scan(node *n)
{
    static turns t;
    int scanned = (int)attr_int(n, "num_scan_inputs", 0);
    t = (turns){.states = n->n - scanned, .collected = n->results - (n->n - scanned)};
    sg_tensor *in[MOST_OPERANDS], *out[MOST_OPERANDS];
    if (t.states < 0 || t.collected < 0 || scanned < 1 || attr_given(n, "scan_input_axes"))
        return refuse(n, "not the operands and results of a scan over first axes");
    for (int i = 0; i < t.states; i++)
        t.state[i] = operand(n, i);
    for (int64_t turn = 0; turn < sg_dim(operand(n, t.states), 0); turn++) {
        for (int i = 0; i < n->n; i++)
            in[i] = i < t.states ? t.state[i] : sg_index(operand(n, i), 0, turn);
        if (!run_body(n, json_object_get(n->attrs, "body"), n->n, in, n->results, out) ||
            !keep_turn(n, &t, out))
            return nothing(n);
    }
    return finish(n, &t);
}

const onnx_op onnx_control[] = {
    {"If", .run = branch}, {"Loop", .run = loop}, {"Scan", .run = scan}, {0}};
