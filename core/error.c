/* Errors: the first one sticks to its context, and everything passes through one function. */
#include "core/internal.h"

const char *sg_status_name(sg_status s)
{
    static const char *const name[] = {"ok",           "no memory",   "bad shape", "bad dtype",
                                       "bad argument", "bad context", "stale",     "not finite",
                                       "bad file",     "io",          "cancelled"};
    return (unsigned)s < sizeof name / sizeof *name ? name[s] : "?";
}

bool sg_ok(const sg_context *g)
{
    return sg__given(g)->status == SG_OK;
}

sg_status sg_error(const sg_context *g)
{
    return sg__given(g)->status;
}

const char *sg_errmsg(const sg_context *g)
{
    return sg__given(g)->message;
}

static void set(sg_context *g, sg_status s, const sg__scope *scope, const char *format,
                va_list args)
{
    if (g->status != SG_OK || s == SG_OK)
        return;
    sg__scope_text(g->message, sizeof g->message / 2, scope); /* leaves room for what is wrong */
    size_t at = strlen(g->message);
    vsnprintf(g->message + at, sizeof g->message - at, format, args);
    g->status = s; /* last: the place for a breakpoint or a watchpoint */
}

sg_tensor *sg_fail(sg_context *g, sg_status s, const char *format, ...)
{
    va_list args;
    g = sg__given(g);
    va_start(args, format);
    set(g, s, g->scope, format, args);
    va_end(args);
    return g->nil;
}

sg_status sg__no_memory(sg_context *g, const char *what)
{
    sg_fail(g, SG_NO_MEMORY, "no memory for %s", what);
    return g->status;
}

static void set_in(sg_context *g, sg_status s, const sg__scope *scope, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(g, s, scope, format, args);
    va_end(args);
}

/* "x[2,3], w[4,5]": parameters by their own last name, others by the op's names of its operands. */
void sg__describe(char *buf, size_t size, const sg_op *op, int n, sg_tensor *const *in)
{
    char text[SG_SHAPE_TEXT];
    const char *args = op->args ? op->args : "";
    size_t at = 0;
    buf[0] = 0;
    for (int i = 0; i < n && at + 1 < size; i++) {
        size_t length = strcspn(args, " ");
        const char *own = strrchr(sg_name(in[i]), '.');
        const char *name = own ? own + 1 : sg_name(in[i]);
        int formal = *name ? 0 : (int)length;
        int k =
            snprintf(buf + at, size - at, "%s%.*s%s%s%s%s", i ? ", " : "", formal, args, name,
                     sg__shape_text(text, &in[i]->dims->shape), in[i]->dtype == SG_F32 ? "" : " ",
                     in[i]->dtype == SG_F32 ? "" : sg_dtype_name(in[i]->dtype));
        at += k > 0 ? (size_t)k : 0;
        args += length + (args[length] == ' ');
        if (i == 5 && n > 6) {
            snprintf(buf + (at < size ? at : size - 1), at < size ? size - at : 1, ", … %d in all",
                     n);
            break;
        }
    }
}

sg_tensor *sg__fail_node(sg_context *g, sg_status s, const sg_op *op, const sg__scope *scope, int n,
                         sg_tensor *const *in, const char *message)
{
    char operands[SG_MESSAGE / 2];
    sg__describe(operands, sizeof operands, op, n, in);
    set_in(g, s, scope, "%s: %s%s%s", op->name, message, *operands ? ": " : "", operands);
    return g->nil;
}

bool sg_refuse(sg_infer *i, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(i->message, SG_MESSAGE, format, args);
    va_end(args);
    return false;
}

bool sg_stop(const sg_call *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->message, SG_MESSAGE, format, args);
    va_end(args);
    return false;
}
