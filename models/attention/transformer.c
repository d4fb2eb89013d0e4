/* The Transformer (Vaswani et al. 2017): blocks of attention and of layers by position. */
#include "models/internal.h"

static bool good(const sg_transformer_options *o)
{
    sg__need_name(o->g, o->name);
    if (o->layers < 1 || o->layers > SG_MAX_BLOCKS)
        sg_fail(o->g, SG_BAD_ARGUMENT, "%d layers are not in 1..%d", o->layers, SG_MAX_BLOCKS);
    if ((unsigned)o->positions > SG_NO_POSITIONS || (o->positions == SG_LEARNED && o->most < 1))
        sg_fail(o->g, SG_BAD_ARGUMENT, "no such positions (%d), or %d learned ones",
                (int)o->positions, o->most);
    return sg_ok(o->g) && sg__good_dropout(o->g, o->dropout);
}

static sg_block make_block(const sg_transformer_options *o, int number)
{
    sg_context *g = o->g;
    sg_block b = {.norm = {{NULL}}};
    char name[32];
    snprintf(name, sizeof name, "block%d", number);
    sg_push(g, "block", name);
    b.self = sg_make_heads(g, "self", o->size, o->heads, .rotary = o->positions == SG_ROTARY,
                           .dropout = o->dropout, .dtype = o->dtype);
    if (o->memory)
        b.cross = sg_make_heads(g, "cross", o->size, o->heads, .memory = o->memory,
                                .dropout = o->dropout, .dtype = o->dtype);
    b.widen = sg_linear(g, "widen", o->size, o->wide, .dtype = o->dtype);
    b.narrow = sg_linear(g, "narrow", o->wide, o->size, .dtype = o->dtype);
    static const char *const norms[] = {"norm0", "norm1", "norm2"};
    for (int i = 0; i < 3; i++)
        if (i != 1 || o->memory)
            b.norm[i] = sg_make_norm(g, norms[i], o->size, o->dtype);
    sg_pop(g);
    return b;
}

sg_transformer sg_make_transformer_(sg_transformer_options o)
{
    o.wide = o.wide ? o.wide : 4 * o.size;
    sg_transformer m = {.o = o};
    m.o.name = ""; /* the caller's */
    sg_push(o.g, "transformer", o.name);
    if (good(&o)) {
        for (int l = 0; l < o.layers; l++)
            m.block[l] = make_block(&o, l);
        if (!o.post_norm)
            m.last = sg_make_norm(o.g, "last", o.size, o.dtype);
        if (o.positions == SG_LEARNED)
            m.position = sg_param(o.g, "position", SG_SHAPE(o.most, o.size), SG_NORMAL, 0.02,
                                  .dtype = o.dtype);
    }
    sg_pop(o.g);
    return m;
}

/* ---- a block -------------------------------------------------------------------------------- */

/* What all blocks of one call share. */
typedef struct scene {
    const sg_transformer *m;
    sg_tensor *mask, *memory, *memory_mask; /* NULL: all is seen; no memory */
    sg_cache *cache;
    int64_t start;
    sg_tensor *weights;
} scene;

/* Keys and values are appended to those of the elements before. */
static sg_tensor *attend_self(scene *s, int l, sg_tensor *x)
{
    const sg_heads *a = &s->m->block[l].self;
    sg_tensor *z[3];
    sg__heads_self(a, x, s->start, z);
    if (s->cache) {
        z[1] = s->cache->k[l] = sg_concat(2, s->cache->k[l], z[1]);
        z[2] = s->cache->v[l] = sg_concat(2, s->cache->v[l], z[2]);
    }
    sg_attended r = sg__heads_attend(a, z[0], z[1], z[2], s->mask);
    s->weights = r.weights;
    return r.context;
}

static sg_tensor *attend_cross(scene *s, int l, sg_tensor *x)
{
    const sg_heads *a = &s->m->block[l].cross;
    sg_tensor *kv[2];
    if (s->cache) {
        kv[0] = s->cache->memory_k[l];
        kv[1] = s->cache->memory_v[l];
    } else {
        sg__heads_memory(a, s->memory, kv);
    }
    sg_attended r = sg__heads_attend(a, sg__heads_query(a, x), kv[0], kv[1], s->memory_mask);
    s->weights = r.weights;
    return r.context;
}

/* f(x W1 + b1) W2 + b2, at each position */
static sg_tensor *by_position(scene *s, int l, sg_tensor *x)
{
    const sg_block *b = &s->m->block[l];
    sg_tensor *wide = sg_activate(sg_apply(b->widen, x), s->m->o.relu ? SG_RELU : SG_GELU);
    wide = sg_dropout(wide, s->m->o.dropout);
    return sg_apply(b->narrow, wide);
}

/* x + f(LN(x)), or LN(x + f(x)) */
static sg_tensor *block(scene *s, int l, sg_tensor *x)
{
    static sg_tensor *(*const parts[])(scene *, int, sg_tensor *) = {attend_self, attend_cross,
                                                                     by_position};
    const sg_transformer_options *o = &s->m->o;
    for (int i = 0; i < 3; i++) {
        sg_norm norm = s->m->block[l].norm[i];
        if (i == 1 && !o->memory)
            continue;
        sg_tensor *y = parts[i](s, l, o->post_norm ? x : sg_normalize(norm, x));
        x = sg_add(x, sg_dropout(y, o->dropout));
        x = o->post_norm ? sg_normalize(norm, x) : x;
    }
    return x;
}

/* y, which a block makes of x; its inside is not kept for gradients, if so wished. */
static sg_tensor *spare(const scene *s, sg_tensor *y, sg_tensor *x)
{
    sg_tensor *in[4] = {x}, *shared[] = {s->mask, s->memory, s->memory_mask};
    int n = 1;
    for (int i = 0; i < 3; i++)
        if (shared[i])
            in[n++] = shared[i];
    return s->m->o.checkpoint ? sg_checkpoint(y, n, in) : y;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool good_memory(const sg_transformer *m, sg_tensor *memory, const int *lengths)
{
    sg_context *g = m->o.g;
    if (!memory != !m->o.memory)
        sg_fail(g, SG_BAD_ARGUMENT, "a memory of %d features is part of the model, %s given",
                m->o.memory, memory ? "one is" : "none is");
    else if (memory && sg_rank(memory) != 3)
        sg_fail(g, SG_BAD_SHAPE, "the memory has %d axes, not [batch, time, features]",
                sg_rank(memory));
    return sg_ok(g) &&
           (!memory || sg__good_lengths(g, sg_dim(memory, 0), sg_dim(memory, 1), lengths));
}

static bool good_call(const sg_transform_options *o, sg_context *g)
{
    if (!sg_ok(g))
        return false;
    const sg_transformer_options *m = &o->model->o;
    if (sg_rank(o->x) != 3 || sg_dim(o->x, 2) != m->size)
        sg_fail(g, SG_BAD_SHAPE, "x is not [batch, time, %d]: %d axes, %lld features", m->size,
                sg_rank(o->x), (long long)sg_dim(o->x, -1));
    else if (o->cache && (!m->causal || o->lengths || o->memory))
        sg_fail(g, SG_BAD_ARGUMENT,
                "a cache is for causal models, without lengths, and has the memory already");
    int64_t end = sg_dim(o->x, 1) + (o->cache ? o->cache->time : 0);
    if (sg_ok(g) && m->positions == SG_LEARNED && end > m->most)
        sg_fail(g, SG_BAD_SHAPE, "%lld elements, but only %d learned positions", (long long)end,
                m->most);
    return sg_ok(g) && sg__good_lengths(g, sg_dim(o->x, 0), sg_dim(o->x, 1), o->lengths) &&
           (o->cache || good_memory(o->model, o->memory, o->memory_lengths));
}

/* u8 [B,1,1,T] */
static sg_tensor *real_ones(sg_tensor *x, const int *lengths)
{
    sg_context *g = sg_context_of(x);
    int64_t batch = sg_dim(x, 0), time = sg_dim(x, 1);
    lengths = sg__short_ones(lengths, batch, time);
    return lengths ? sg_reshape(sg_length_mask(g, (int)batch, time, lengths),
                                SG_SHAPE(batch, 1, 1, time))
                   : NULL;
}

/* What is behind a length is 0: a weight of 0 times NaN would be NaN. */
static sg_tensor *clean_memory(sg_tensor *memory, const int *lengths)
{
    return sg__clean(memory, sg__short_ones(lengths, sg_dim(memory, 0), sg_dim(memory, 1)));
}

sg_cache sg_begin_cache(const sg_transformer *m, int batch, sg_tensor *memory,
                        const int *memory_lengths)
{
    sg_context *g = m->o.g;
    sg_cache c = {0};
    sg_push(g, "transformer", "");
    if (sg_ok(g) && good_memory(m, memory, memory_lengths)) {
        sg_shape none = SG_SHAPE(batch, m->o.heads, 0, m->o.size / m->o.heads);
        for (int l = 0; l < m->o.layers; l++) {
            sg_tensor *kv[2] = {NULL};
            c.k[l] = c.v[l] = sg_full(g, m->o.dtype, none, 0);
            if (memory)
                sg__heads_memory(&m->block[l].cross, clean_memory(memory, memory_lengths), kv);
            c.memory_k[l] = kv[0];
            c.memory_v[l] = kv[1];
        }
        c.memory_mask = memory ? real_ones(memory, memory_lengths) : NULL;
    }
    sg_pop(g);
    return c;
}

static sg_tensor *with_positions(const sg_transformer *m, sg_tensor *x, int64_t start)
{
    int64_t time = sg_dim(x, 1);
    if (m->o.positions == SG_SINUSOID)
        return sg_add(x, sg_sinusoids(m->o.g, sg_type(x), start, time, m->o.size));
    if (m->o.positions == SG_LEARNED)
        return sg_add(x, sg_slice(m->position, 0, start, start + time, 1));
    return x;
}

static sg_tensor *transform(const sg_transform_options *o)
{
    const sg_transformer *m = o->model;
    sg_context *g = sg_context_of(o->x);
    int64_t time = sg_dim(o->x, 1);
    scene s = {.m = m, .cache = o->cache, .start = o->cache ? o->cache->time : 0};
    const int *lengths = sg__short_ones(o->lengths, sg_dim(o->x, 0), time);
    sg_tensor *x = with_positions(m, sg__clean(o->x, lengths), s.start);
    s.mask = real_ones(x, lengths);
    if (m->o.causal) {
        sg_tensor *past = sg_causal_mask(g, time, s.start + time);
        s.mask = s.mask ? sg_logical_and(past, s.mask) : past;
    }
    if (o->memory) {
        s.memory = clean_memory(o->memory, o->memory_lengths);
        s.memory_mask = real_ones(o->memory, o->memory_lengths);
    } else if (o->cache) {
        s.memory_mask = o->cache->memory_mask;
    }
    x = sg_dropout(x, m->o.dropout);
    for (int l = 0; l < m->o.layers; l++)
        x = spare(&s, block(&s, l, x), x);
    if (o->cache)
        o->cache->time += time;
    if (o->weights)
        *o->weights = s.weights;
    x = m->o.post_norm ? x : sg_normalize(m->last, x);
    return sg__clean(x, lengths);
}

sg_tensor *sg_transform_(sg_transform_options o)
{
    sg_context *g = o.model && o.model->o.g ? o.model->o.g : sg_context_of(o.x);
    sg_push(g, "transformer", "");
    if (!o.model || !o.model->o.g)
        sg_fail(g, SG_BAD_ARGUMENT, "no such model was made");
    if (o.weights)
        *o.weights = sg__nothing(g);
    sg_tensor *x = good_call(&o, g) ? transform(&o) : sg__nothing(g);
    sg_pop(g);
    return x;
}
