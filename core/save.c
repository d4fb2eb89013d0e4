/* Models on disk: the registry's arrays and texts, through the safetensors layer. A buffer is told
 * from a parameter by a text that lists the buffers' names. */
#include "core/file/safetensors.h"
#include "core/internal.h"

#include <stdlib.h>

/* ---- texts --------------------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

static struct sg__text *text_of(sg__registry *r, const char *key)
{
    struct sg__text *t = r->texts;
    while (t && strcmp(t->key, key) != 0)
        t = t->next;
    return t;
}

const char *sg_meta(const sg_context *g, const char *key)
{
    struct sg__text *t = g && g->registry && key ? text_of(g->registry, key) : NULL;
    return t ? t->text : NULL;
}

static struct sg__text *new_text(sg__registry *r, const char *key)
{
    struct sg__text *t = calloc(1, sizeof *t), **at = &r->texts;
    if (!t || !(t->key = copy_text(key))) {
        free(t);
        return NULL;
    }
    while (*at)
        at = &(*at)->next;
    return *at = t;
}

#define OURS "seqgrad." /* how keys of our own begin */

void sg_set_meta(sg_context *g, const char *key, const char *text)
{
    if (!sg_ok(g))
        return;
    if (!key || !text) {
        sg_fail(g, SG_BAD_ARGUMENT, "sg_set_meta: no %s", key ? "text" : "key");
        return;
    }
    if (strncmp(key, OURS, strlen(OURS)) == 0) {
        sg_fail(g, SG_BAD_ARGUMENT, "the key \"%s\" is one of seqgrad's own", key);
        return;
    }
    char *value = copy_text(text);
    struct sg__text *t = value ? text_of(g->registry, key) : NULL;
    if (value && !t)
        t = new_text(g->registry, key);
    if (!t) {
        free(value);
        sg__no_memory(g, "a text");
        return;
    }
    free(t->text);
    t->text = value;
}

/* ---- saving -------------------------------------------------------------------------------- */

#define BUFFERS OURS "buffers" /* a text: names of buffers, a line each */
#define STREAM  OURS "stream"  /* seed and resets so far: where random streams go on */

static char *list_buffers(const sg__registry *r)
{
    size_t size = 1;
    for (const sg__store *s = r->first; s; s = s->next)
        size += s->buffer ? strlen(s->name) + 1 : 0;
    char *text = malloc(size), *at = text;
    for (const sg__store *s = r->first; text && s; s = s->next)
        if (s->buffer) {
            size_t n = strlen(s->name);
            memcpy(at, s->name, n);
            at[n] = '\n';
            at += n + 1;
        }
    if (text)
        *at = 0;
    return text;
}

static bool listed(const char *lines, const char *name)
{
    size_t n = strlen(name);
    while (lines && *lines) {
        size_t length = strcspn(lines, "\n");
        if (length == n && memcmp(lines, name, n) == 0)
            return true;
        lines += length + (lines[length] == '\n');
    }
    return false;
}

sg_status sg_save(sg_context *g, const char *path)
{
    if (!sg_ok(g))
        return sg_error(g);
    const sg__registry *r = g->registry;
    int n = 0, m = 0;
    sg__file_tensor *tensors = malloc((r->count + 1) * sizeof *tensors);
    for (struct sg__text *t = r->texts; t; t = t->next)
        m++;
    sg__file_text *texts = malloc(((size_t)m + 2) * sizeof *texts);
    char stream[48];
    char *buffers = list_buffers(r);
    char message[SG_MESSAGE];
    sg_status status = SG_NO_MEMORY;
    if (!tensors || !texts || !buffers) {
        sg__no_memory(g, "saving");
    } else {
        for (sg__store *s = r->first; s; s = s->next)
            tensors[n++] = (sg__file_tensor){s->name, s->dtype, s->shape, s->data};
        m = 0;
        snprintf(stream, sizeof stream, "%llu %llu", (unsigned long long)g->seed,
                 (unsigned long long)g->draws);
        texts[m++] = (sg__file_text){BUFFERS, buffers};
        texts[m++] = (sg__file_text){STREAM, stream};
        for (struct sg__text *t = r->texts; t; t = t->next)
            texts[m++] = (sg__file_text){t->key, t->text};
        if (!sg__safetensors_write(path, n, tensors, m, texts, message, &status))
            sg_fail(g, status, "%s", message);
    }
    free(tensors);
    free(texts);
    free(buffers);
    return g->status;
}

/* ---- loading ------------------------------------------------------------------------------- */

static sg__safetensors *read_file(sg_context *g, const char *path, bool as_model)
{
    char message[SG_MESSAGE];
    sg_status status = SG_BAD_FILE;
    if (!sg_ok(g))
        return NULL;
    if (g->registry->contexts > 1) {
        sg_fail(g, SG_BAD_ARGUMENT, "%s: not loaded while several contexts share", path);
        return NULL;
    }
    sg__safetensors *f = sg__safetensors_read(path, as_model, message, &status);
    if (!f)
        sg_fail(g, status, "%s", message);
    return f;
}

static bool same_shape(const sg_shape *a, const sg_shape *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

/* Everything that could be refused is, before anything is changed. */
static bool acceptable(sg_context *g, const char *path, const sg__safetensors *f)
{
    char have[SG_SHAPE_TEXT], want[SG_SHAPE_TEXT];
    for (sg__store *s = g->registry->first; s; s = s->next)
        s->in_file = false;
    for (int i = 0; i < f->n; i++) {
        const sg__file_tensor *t = &f->tensors[i];
        sg__store *s = sg__find_store(g, t->name);
        if (s && (s->dtype != t->dtype || !same_shape(&s->shape, &t->shape))) {
            sg_fail(g, SG_BAD_FILE, "%s: \"%s\" is %s%s there, %s%s here", path, t->name,
                    sg_dtype_name(t->dtype), sg__shape_text(have, &t->shape),
                    sg_dtype_name(s->dtype), sg__shape_text(want, &s->shape));
            return false;
        }
        if (s)
            s->in_file = true;
    }
    for (const sg__store *s = g->registry->first; s; s = s->next)
        if (!s->buffer && !s->in_file) {
            sg_fail(g, SG_BAD_FILE, "%s: has no \"%s\"", path, s->name);
            return false;
        }
    return true;
}

static sg__store *store_for(sg_context *g, const sg__file_tensor *t, const char *name, bool buffer)
{
    sg__store *s = sg__find_store(g, name);
    return s ? s : sg__new_store(g, name, t->dtype, t->shape, buffer);
}

static void take_data(sg_context *g, sg__store *s, const sg__file_tensor *t)
{
    const sg__dims *dims = sg__intern(g, "", t->shape);
    if (dims && dims->size)
        memcpy(s->data, t->data, (size_t)dims->size * sg__dtype_size(t->dtype));
    if (s->number < g->param_count && g->params[s->number])
        sg__overwritten(g->params[s->number]);
}

/* Stores made here are taken back if a later one finds no memory, so that a load that fails changes
 * nothing. */
static bool make_stores(sg_context *g, const sg__safetensors *f, const char *prefix, bool tensors)
{
    char name[SG_MESSAGE / 2];
    size_t before = g->registry->count;
    const char *buffers = NULL;
    for (int i = 0; i < f->m; i++)
        if (strcmp(f->texts[i].key, BUFFERS) == 0)
            buffers = f->texts[i].value;
    for (int i = 0; i < f->n && !g->status; i++) {
        const sg__file_tensor *t = &f->tensors[i];
        int n = snprintf(name, sizeof name, "%s%s", prefix, t->name);
        bool buffer = tensors || listed(buffers, t->name);
        if (n < 0 || (size_t)n >= sizeof name)
            sg_fail(g, SG_BAD_FILE, "the name \"%.80s…\" is too long", t->name);
        else if (tensors && sg__find_store(g, name))
            sg_fail(g, SG_BAD_ARGUMENT, "\"%s\" is there already", name);
        else
            store_for(g, t, name, buffer);
    }
    while (g->status && g->registry->count > before)
        sg__forget_newest(g->registry);
    return !g->status;
}

static void take_all(sg_context *g, const sg__safetensors *f, const char *prefix)
{
    char name[SG_MESSAGE / 2];
    for (int i = 0; i < f->n; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, f->tensors[i].name);
        take_data(g, sg__find_store(g, name), &f->tensors[i]);
    }
}

sg_status sg_load(sg_context *g, const char *path)
{
    sg__safetensors *f = read_file(g, path, true);
    char *loaded = f ? copy_text(path) : NULL;
    if (f && !loaded)
        sg__no_memory(g, "loading");
    if (loaded && acceptable(g, path, f) && make_stores(g, f, "", false)) {
        uint64_t seed = g->seed, draws = g->draws;
        char *end;
        for (int i = 0; i < f->m; i++)
            if (strcmp(f->texts[i].key, STREAM) == 0) {
                seed = strtoull(f->texts[i].value, &end, 10);
                draws = strtoull(end, NULL, 10);
            } else if (strncmp(f->texts[i].key, OURS, strlen(OURS)) != 0)
                sg_set_meta(g, f->texts[i].key, f->texts[i].value);
        if (sg_ok(g)) {
            take_all(g, f, "");
            g->seed = seed;
            g->draws = draws;
            g->stream = NULL;
            free(g->registry->loaded);
            g->registry->loaded = loaded;
            loaded = NULL;
        }
    }
    free(loaded);
    sg__safetensors_free(f);
    return sg_error(g);
}

sg_status sg_load_tensors(sg_context *g, const char *path, const char *prefix)
{
    prefix = prefix ? prefix : "";
    sg__safetensors *f = read_file(g, path, false);
    if (f && make_stores(g, f, prefix, true))
        take_all(g, f, prefix);
    sg__safetensors_free(f);
    return sg_error(g);
}
