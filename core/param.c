/* Parameters and buffers: named arrays that outlive the tape, in a registry that contexts share. */
#include "core/internal.h"

#include "core/file/file.h"

#include <math.h>
#include <stdlib.h>

const sg_op sg__param_op = {.name = "param"};

static uint64_t hash_name(const char *name)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001B3);
    return h ^ h >> 29;
}

/* ---- the registry -------------------------------------------------------------------------- */

sg__store *sg__find_store(sg_context *g, const char *name)
{
    sg__registry *r = g->registry;
    if (!r || !r->capacity)
        return NULL;
    sg__store *s = r->table[hash_name(name) & (r->capacity - 1)];
    while (s && strcmp(s->name, name) != 0)
        s = s->next_hash;
    return s;
}

static bool widen(sg__registry *r)
{
    if (r->count < r->capacity)
        return true;
    size_t capacity = r->capacity ? r->capacity * 2 : 64;
    sg__store **table = calloc(capacity, sizeof *table);
    if (!table)
        return false;
    for (sg__store *s = r->first; s; s = s->next) {
        size_t at = hash_name(s->name) & (capacity - 1);
        s->next_hash = table[at];
        table[at] = s;
    }
    free(r->table);
    r->table = table;
    r->capacity = capacity;
    return true;
}

sg__store *sg__new_store(sg_context *g, const char *name, sg_dtype dtype, sg_shape shape,
                         bool buffer)
{
    sg__registry *r = g->registry;
    const sg__dims *dims = sg__intern(g, "", shape);
    if (!dims)
        return NULL;
    size_t bytes = (size_t)dims->size * sg__dtype_size(dtype), length = strlen(name) + 1;
    sg__store *s = widen(r) ? malloc(sizeof *s + length) : NULL;
    void *data = s ? sg__new_block(bytes) : NULL;
    if (!data) {
        free(s);
        sg__no_memory(g, name);
        return NULL;
    }
    memset(data, 0, bytes);
    *s = (sg__store){
        .shape = shape, .dtype = dtype, .data = data, .buffer = buffer, .rate = 1, .decay = 1};
    s->name = memcpy(s + 1, name, length);
    size_t at = hash_name(name) & (r->capacity - 1);
    s->next_hash = r->table[at];
    r->table[at] = s;
    if (r->last)
        r->last->next = s;
    else
        r->first = s;
    r->last = s;
    s->number = r->count++;
    return s;
}

void sg__forget_newest(sg__registry *r)
{
    sg__store *s = r->last;
    size_t at = hash_name(s->name) & (r->capacity - 1);
    r->table[at] = s->next_hash; /* it was put in front */
    r->last = NULL;
    for (sg__store *t = r->first; t != s; t = t->next)
        r->last = t;
    if (r->last)
        r->last->next = NULL;
    else
        r->first = NULL;
    r->count--;
    free(s->data);
    free(s);
}

void sg__registry_drop(sg__registry *r)
{
    if (atomic_fetch_sub(&r->contexts, 1) > 1)
        return;
    for (sg__store *s = r->first, *next; s; s = next) {
        next = s->next;
        free(s->data);
        free(s);
    }
    for (struct sg__text *t = r->texts, *next; t; t = next) {
        next = t->next;
        free(t->key);
        free(t->text);
        free(t);
    }
    free(r->table);
    free(r->loaded);
    free(r);
}

/* ---- this context's tensors over it ---------------------------------------------------------- */

sg_tensor *sg__param_node(sg_context *g, sg__store *s)
{
    if (s->number < g->param_count && g->params[s->number])
        return g->params[s->number];
    void *table = g->params;
    if (!sg__grow(&table, &g->param_capacity, s->number + 1, sizeof *g->params)) {
        sg__no_memory(g, s->name);
        return NULL;
    }
    g->params = table;
    while (g->param_count <= s->number)
        g->params[g->param_count++] = NULL;
    const sg__dims *dims = sg__intern(g, "", s->shape);
    sg_tensor *x = dims ? sg__alloc(&g->lasting, sizeof *x) : NULL;
    sg__param *p = x ? sg__alloc(&g->lasting, sizeof *p) : NULL;
    if (!p) {
        sg__no_memory(g, s->name);
        return NULL;
    }
    *p = (sg__param){.store = s, .assigned_in = SG__FOREVER};
    *x = (sg_tensor){.g = g,
                     .op = &sg__param_op,
                     .dims = dims,
                     .value = s->data,
                     .attr = p,
                     .scope = &g->root,
                     .generation = SG__FOREVER,
                     .dtype = (uint8_t)s->dtype};
    g->params[s->number] = x;
    return x;
}

static bool full_name(sg_context *g, char *buf, size_t size, const char *name)
{
    bool whole = name && *name == '.', ok = whole || sg__scope_prefix(buf, size, g->scope);
    size_t at = whole ? 0 : strlen(buf);
    name += whole;
    if (!name || !*name)
        sg_fail(g, SG_BAD_ARGUMENT, "a parameter without a name");
    else if (!sg__savable(name))
        sg_fail(g, SG_BAD_ARGUMENT, "the name \"%.80s\" cannot be saved", sg__show(name).s);
    else if (!ok || strlen(name) >= size - at)
        sg_fail(g, SG_BAD_ARGUMENT, "the name \"%.80s…\" is too long", name);
    else
        memcpy(buf + at, name, strlen(name) + 1);
    return !g->status;
}

static bool agrees(sg_context *g, const sg__store *s, sg_dtype dtype, sg_shape shape, bool buffer)
{
    char have[SG_SHAPE_TEXT], want[SG_SHAPE_TEXT];
    bool same = s->shape.rank == shape.rank && s->dtype == dtype;
    for (int i = 0; same && i < shape.rank; i++)
        same = s->shape.dim[i] == shape.dim[i];
    if (!same)
        sg_fail(g, SG_BAD_SHAPE, "\"%s\" is %s%s already, not %s%s", s->name,
                sg_dtype_name(s->dtype), sg__shape_text(have, &s->shape), sg_dtype_name(dtype),
                sg__shape_text(want, &shape));
    else if (s->buffer != buffer)
        sg_fail(g, SG_BAD_ARGUMENT, "\"%s\" is a %s already", s->name,
                s->buffer ? "buffer" : "parameter");
    return !g->status;
}

sg_tensor *sg_param_(sg_param_options o)
{
    sg_context *g = sg__given(o.g);
    char name[SG_MESSAGE / 2];
    if (g->status || !full_name(g, name, sizeof name, o.name))
        return g->nil;
    if (!sg__is_float((int)o.dtype))
        return sg_fail(g, SG_BAD_DTYPE, "\"%s\": parameters are f32 or f64", name);
    sg__store *s = sg__find_store(g, name);
    if (!s) {
        if (g->registry->loaded)
            return sg_fail(g, SG_BAD_FILE, "%s: has no \"%s\"", g->registry->loaded, name);
        if (g->registry->contexts > 1)
            return sg_fail(g, SG_BAD_ARGUMENT, "\"%s\": new while several contexts share", name);
        s = sg__new_store(g, name, o.dtype, o.shape, false);
        if (!s)
            return g->nil;
        size_t bytes = (size_t)sg__intern(g, "", o.shape)->size * sg__dtype_size(o.dtype);
        if (o.data)
            memcpy(s->data, o.data, bytes);
        else if (!sg__initialize(g, s, o.init, o.gain == 0 ? 1 : o.gain, o.blocks ? o.blocks : 1)) {
            sg__forget_newest(g->registry);
            return g->nil;
        }
    } else if (!agrees(g, s, o.dtype, o.shape, false)) {
        return g->nil;
    }
    sg_tensor *x = sg__param_node(g, s);
    return x ? x : g->nil;
}

sg_tensor *sg_buffer(sg_context *g, const char *key, sg_dtype dtype, sg_shape shape, double v)
{
    char name[SG_MESSAGE / 2];
    g = sg__given(g);
    if (g->status || !full_name(g, name, sizeof name, key))
        return g->nil;
    if ((unsigned)dtype >= SG_DTYPES)
        return sg_fail(g, SG_BAD_DTYPE, "\"%s\": no such type (%d)", name, (int)dtype);
    sg__store *s = sg__find_store(g, name);
    if (!s) {
        if (g->registry->contexts > 1)
            return sg_fail(g, SG_BAD_ARGUMENT, "\"%s\": new while several contexts share", name);
        if (!sg__fits(dtype, v))
            return sg_fail(g, SG_BAD_ARGUMENT, "%g does not fit into %s", v, sg_dtype_name(dtype));
        s = sg__new_store(g, name, dtype, shape, true);
        if (!s)
            return g->nil;
        sg__fill(s->data, dtype, sg__intern(g, "", shape)->size, v);
    } else if (!agrees(g, s, dtype, shape, true)) {
        return g->nil;
    }
    sg_tensor *x = sg__param_node(g, s);
    return x ? x : g->nil;
}

/* ---- finding and listing --------------------------------------------------------------------- */

sg_tensor *sg_next_param(sg_context *g, sg_tensor *after, bool buffers)
{
    if (!sg_ok(g))
        return NULL;
    sg__param *p = after ? sg__param_of(after) : NULL;
    sg__store *s = !after ? g->registry->first : p ? p->store->next : NULL;
    while (s && s->buffer && !buffers)
        s = s->next;
    return s ? sg__param_node(g, s) : NULL;
}

sg_tensor *sg_find(sg_context *g, const char *name)
{
    sg__store *s = !sg_ok(g) || !name ? NULL : sg__find_store(g, name);
    return s ? sg__param_node(g, s) : NULL;
}

const char *sg_name(const sg_tensor *x)
{
    sg__param *p = sg__param_of(x);
    return p ? p->store->name : "";
}

bool sg_is_buffer(const sg_tensor *x)
{
    sg__param *p = sg__param_of(x);
    return p && p->store->buffer;
}

bool sg_frozen(const sg_tensor *x)
{
    sg__param *p = sg__param_of(x);
    return p && p->store->frozen;
}

double sg_group_rate(const sg_tensor *x)
{
    sg__param *p = sg__param_of(x);
    return p ? p->store->rate : 1;
}

double sg_group_decay(const sg_tensor *x)
{
    sg__param *p = sg__param_of(x);
    return p ? p->store->decay : 1;
}

bool sg__match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) { /* let the star swallow one more */
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

int sg_freeze(sg_context *g, const char *pattern, bool frozen)
{
    int n = 0;
    for (sg__store *s = !sg_ok(g) || !pattern ? NULL : g->registry->first; s; s = s->next)
        if (!s->buffer && sg__match(pattern, s->name)) {
            s->frozen = frozen;
            n++;
        }
    return n;
}

int sg_group(sg_context *g, const char *pattern, double rate, double decay)
{
    int n = 0;
    if (!isfinite(rate) || !isfinite(decay)) {
        sg_fail(g, SG_BAD_ARGUMENT, "sg_group \"%s\": rate %g, decay %g", pattern, rate, decay);
        return 0;
    }
    for (sg__store *s = !sg_ok(g) || !pattern ? NULL : g->registry->first; s; s = s->next)
        if (!s->buffer && sg__match(pattern, s->name)) {
            s->rate = rate;
            s->decay = decay;
            n++;
        }
    return n;
}

void sg__overwritten(sg_tensor *param)
{
    sg__param *p = sg__param_of(param);
    p->assigned_in = param->g->overwritten_in = param->g->generation;
    p->assigned_at = param->g->serial;
    sg__drop_ready(param);
}

sg_status sg_set(sg_tensor *param, const void *data)
{
    sg_context *g = sg_context_of(param);
    sg__param *p = sg__param_of(param);
    if (g->status)
        return g->status;
    if (!p || !data)
        sg_fail(g, SG_BAD_ARGUMENT, "sg_set: %s", p ? "no array" : "no parameter or buffer");
    else if (g->registry->contexts > 1)
        sg_fail(g, SG_BAD_ARGUMENT, "sg_set: \"%s\" is shared by several contexts", p->store->name);
    else {
        memmove(p->store->data, data, (size_t)param->dims->size * sg__dtype_size(p->store->dtype));
        sg__overwritten(param);
    }
    return g->status;
}
