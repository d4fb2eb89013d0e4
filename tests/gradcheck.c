/*
 * gradcheck: the derivatives of every op, compared with differences in double, as a table.
 *
 *     gradcheck [--op NAME] [--seeds N] [--isa NAME] [--json] [--first]
 *
 * Ends with status 1 if any op is wrong.
 */
#include "tests/op_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *op, *isa;
    long seeds;
    bool json, first;
} settings;

static const char usage[] =
    "usage: gradcheck [options]\n"
    "Compares the gradients of every op with central differences, in double, order 1 and 2;\n"
    "and its gradients' gradients; for each type of its inputs.\n"
    "\n"
    "  --op NAME     only this op\n"
    "  --seeds N     draws of inputs, 10 by default\n"
    "  --isa NAME    kernels: generic, avx2 or avx512; the best by default\n"
    "  --json        one line of JSON an op and type, instead of the table\n"
    "  --first       ends at the first op that is wrong\n"
    "  --help        this text\n"
    "\n"
    "Errors are |difference - gradient| / max(1, |gradient|), the worst of all elements, "
    "directions\n"
    "and draws; up to 1e-6 for order 1 and 1e-5 for order 2 are good. Status 1: an op is wrong.\n";

/* An error that was not reached is "-": no derivative by definition, or a failure before. */
static const char *number(char *buf, size_t size, double v, const char *none)
{
    if (isnan(v))
        return none;
    snprintf(buf, size, isinf(v) ? "1e999" : "%.1e", v);
    return buf;
}

static void shapes_text(char *buf, size_t size, const op_row *row)
{
    size_t at = 0;
    buf[0] = 0;
    for (int k = 0; k < op_inputs(row); k++) {
        const sg_shape *s = &row->in[k].shape;
        for (int d = 0; d < s->rank && at < size; d++)
            at += (size_t)snprintf(buf + at, size - at, "%s%lld",
                                   d   ? "x"
                                   : k ? " "
                                       : "",
                                   (long long)s->dim[d]);
    }
}

static void merge(op_verdict *into, const op_verdict *v)
{
    for (int order = 0; order < 2; order++)
        if (isnan(into->error[order]) || v->error[order] > into->error[order])
            into->error[order] = v->error[order];
    if (!into->what[0])
        memcpy(into->what, v->what, sizeof into->what);
}

static op_verdict check_row(const settings *o, const op_row *row, sg_dtype type)
{
    op_verdict all = {{NAN, NAN}, ""};
    for (long seed = 1; seed <= o->seeds && !all.what[0]; seed++) {
        op_verdict v = op_check(row, o->isa, type, (uint64_t)seed);
        merge(&all, &v);
    }
    return all;
}

static void print_row(const op_row *row, sg_dtype type, const op_verdict *v)
{
    char name[64], shapes[64], error[2][16];
    snprintf(name, sizeof name, "%s%s%s", row->op, row->form ? ", " : "",
             row->form ? row->form : "");
    shapes_text(shapes, sizeof shapes, row);
    printf("%-32.32s %-4s %-18.18s %8s %8s  %s\n", name, sg_dtype_name(type), shapes,
           number(error[0], sizeof error[0], v->error[0], "-"),
           number(error[1], sizeof error[1], v->error[1], "-"), v->what[0] ? v->what : "ok");
}

static void print_json(const char *op, sg_dtype type, const op_verdict *v)
{
    char error[2][16];
    printf("{\"op\":\"%s\", \"dtype\":\"%s\", \"order1\":%s, \"order2\":%s, \"ok\":%s}\n", op,
           sg_dtype_name(type), number(error[0], sizeof error[0], v->error[0], "null"),
           number(error[1], sizeof error[1], v->error[1], "null"), v->what[0] ? "false" : "true");
}

static void check_points(const settings *o, const char *op, sg_dtype type, op_verdict *v)
{
    const op_point *p;
    for (int i = 0; (p = op_point_at(i)) && !v->what[0]; i++) {
        if (strcmp(p->op, op) != 0)
            continue;
        op_check_point(p, o->isa, type, v->what);
        if (v->what[0] && !o->json)
            printf("%-32s %-4s %s\n", p->op, sg_dtype_name(type), v->what);
    }
}

/* Rows of one op stand together; `i` is the first of them. Returns the number of wrong types. */
static int check_op(const settings *o, int i, int *rows)
{
    const char *op = op_row_at(i)->op;
    int wrong = 0;
    for (int type = SG_F32; type <= SG_F64; type++) {
        op_verdict all = {{NAN, NAN}, ""};
        const op_row *row;
        for (int j = i; (row = op_row_at(j)) && strcmp(row->op, op) == 0; j++, ++*rows) {
            op_verdict v = check_row(o, row, (sg_dtype)type);
            merge(&all, &v);
            if (!o->json)
                print_row(row, (sg_dtype)type, &v);
        }
        check_points(o, op, (sg_dtype)type, &all);
        if (o->json)
            print_json(op, (sg_dtype)type, &all);
        fflush(stdout);
        wrong += all.what[0] != 0;
        if (wrong && o->first)
            break;
    }
    return wrong;
}

/* Status 0 to go on, else 1 + the status to end with. */
static int read_arguments(int argc, char **argv, settings *o)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool takes = strcmp(a, "--op") == 0 || strcmp(a, "--seeds") == 0 || strcmp(a, "--isa") == 0;
        if (strcmp(a, "--help") == 0) {
            fputs(usage, stdout);
            return 1;
        }
        if (strcmp(a, "--json") == 0)
            o->json = true;
        else if (strcmp(a, "--first") == 0)
            o->first = true;
        else if (!takes || !value) {
            fprintf(stderr,
                    takes ? "gradcheck: %s needs a value\n" : "gradcheck: unknown option %s\n", a);
            return 3;
        } else {
            i++;
            if (strcmp(a, "--op") == 0)
                o->op = value;
            else if (strcmp(a, "--isa") == 0)
                o->isa = value;
            else
                o->seeds = strtol(value, NULL, 10);
        }
    }
    if (o->seeds >= 1 && o->seeds <= 1000000)
        return 0;
    fprintf(stderr, "gradcheck: --seeds is not in 1..1000000\n");
    return 3;
}

int main(int argc, char **argv)
{
    settings o = {.seeds = 10};
    int end = read_arguments(argc, argv, &o), wrong = 0, rows = 0;
    if (end)
        return end - 1;
    if (!o.json)
        printf("%-32s %-4s %-18s %8s %8s  %s\n", "op", "type", "shapes", "order 1", "order 2",
               "verdict");
    const op_row *row;
    for (int i = 0; (row = op_row_at(i)) && !(wrong && o.first); i++) {
        bool begins = i == 0 || strcmp(op_row_at(i - 1)->op, row->op) != 0;
        if (begins && (!o.op || strcmp(o.op, row->op) == 0))
            wrong += check_op(&o, i, &rows);
    }
    if (rows == 0) {
        fprintf(stderr, "gradcheck: no op is called \"%s\"\n", o.op);
        return 2;
    }
    if (!o.json)
        printf("%d rows, %d wrong\n", rows, wrong);
    return wrong != 0;
}
