/* See recordings.h. */
#include "examples/recordings.h"
#include "examples/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const recordings_names[RECORDINGS_DIGITS] = {"zero", "one", "two",   "three", "four",
                                                         "five", "six", "seven", "eight", "nine"};

enum { N = RECORDINGS_FEATURES, MOST_FRAMES = 100000 };

/* Recordings so far; all frames in one array, which may move. */
typedef struct growing {
    recordings r;
    size_t room, used, frames_room; /* of items; frames */
} growing;

static bool add_recording(sg_context *g, growing *b, recording r)
{
    if ((size_t)b->r.count == b->room) {
        b->room = b->room ? 2 * b->room : 256;
        recording *item = realloc(b->r.item, b->room * sizeof *item);
        if (!item)
            return !sg_is_nil(sg_fail(g, SG_NO_MEMORY, "no memory for recordings"));
        b->r.item = item;
    }
    b->r.item[b->r.count++] = r;
    return true;
}

/* Room for a frame at the end; NULL after an error. */
static float *add_frame(sg_context *g, growing *b)
{
    if (b->used == b->frames_room) {
        b->frames_room = b->frames_room ? 2 * b->frames_room : 4096;
        float *x = realloc(b->r.x, b->frames_room * N * sizeof *x);
        if (!x)
            sg_fail(g, SG_NO_MEMORY, "no memory for %zu frames", b->frames_room);
        if (!x)
            return NULL;
        b->r.x = x;
    }
    return b->r.x + N * b->used++;
}

static recordings finish(sg_context *g, growing *b)
{
    float *x = b->r.x;
    for (int i = 0; i < b->r.count; i++, x += N * b->r.item[i - 1].frames)
        b->r.item[i].x = x;
    b->r.count = sg_ok(g) ? b->r.count : 0;
    return b->r;
}

void recordings_free(recordings *r)
{
    free(r->item);
    free(r->x);
}

recordings_batch recordings_pad(sg_context *g, const recordings *r, int n, const int *order)
{
    recordings_batch b = {.size = n};
    for (int i = 0; i < n; i++)
        b.frames = r->item[order[i]].frames > b.frames ? r->item[order[i]].frames : b.frames;
    size_t row = (size_t)b.frames * N;
    b.x = sg_room(g, (size_t)n * row * sizeof *b.x);
    b.lengths = sg_room(g, (size_t)n * sizeof *b.lengths);
    if (b.x)
        memset(b.x, 0, (size_t)n * row * sizeof *b.x);
    for (int i = 0; i < n && sg_ok(g); i++) {
        const recording *k = &r->item[order[i]];
        memcpy(b.x + (size_t)i * row, k->x, (size_t)k->frames * N * sizeof *b.x);
        b.lengths[i] = k->frames;
    }
    return b;
}

void recordings_measure(const recordings *r, int n, const int *order, float mean[N],
                        float deviation[N])
{
    for (int i = 0; i < N; i++) {
        double sum = 0, squares = 0, frames = 0;
        for (int j = 0; j < n; j++) {
            const recording *k = &r->item[order[j]];
            for (int t = 0; t < k->frames; t++, frames++) {
                double x = (double)k->x[t * N + i];
                sum += x;
                squares += x * x;
            }
        }
        double variance = squares / frames - sum / frames * (sum / frames);
        mean[i] = (float)(sum / frames);
        deviation[i] = variance > 1e-12 ? (float)sqrt(variance) : 1;
    }
}

/* ---- files ---------------------------------------------------------------------------------- */

static bool read_frame(const char *line, float *x)
{
    char *end;
    for (int i = 0; i < N; i++, line = end) {
        x[i] = strtof(line, &end) / 100;
        if (end == line || !isfinite(x[i]))
            return false;
    }
    return line[strspn(line, " \t")] == '\0';
}

recordings recordings_read(sg_context *g, const char *path, const char *name)
{
    sg_corpus *c = program_lines(g, path, name);
    growing b = {.room = 0};
    for (int i = 0, left = 0; i < c->size && sg_ok(g); i++) {
        recording r = {.digit = -1};
        bool ok, inside = left-- > 0;
        if (inside) {
            float *x = add_frame(g, &b);
            ok = !x || read_frame(c->source[i], x);
        } else {
            ok = sscanf(c->source[i], "%d %23s %d %d", &r.digit, r.speaker, &r.index, &r.frames) ==
                     4 &&
                 r.digit >= 0 && r.digit < RECORDINGS_DIGITS && r.frames > 0 &&
                 r.frames <= MOST_FRAMES && r.frames < c->size - i;
            left = r.frames;
            ok = ok && add_recording(g, &b, r);
        }
        if (!ok)
            sg_fail(g, SG_BAD_FILE, "%s:%d: not %s", path, i + 1,
                    inside ? "a frame of 13 numbers" : "a recording: digit speaker index frames");
    }
    sg_corpus_free(c);
    return finish(g, &b);
}

/* ---- made-up ones --------------------------------------------------------------------------- */

static float normal(uint64_t *state)
{
    return (float)program_normal(state);
}

/* A few frames on the way from one sound to another. */
static int glide(sg_context *g, growing *b, uint64_t *state, const float *from, const float *to,
                 const float *voice)
{
    const float noise = 0.4F;
    int n = 2 + (int)(program_draw(state) % 4);
    for (int t = 1; t <= n; t++) {
        float *x = add_frame(g, b), part = (float)t / (float)n;
        for (int i = 0; i < N && x; i++)
            x[i] = from[i] + part * (to[i] - from[i]) + voice[i] + noise * normal(state);
    }
    return n;
}

recordings recordings_generate(sg_context *g, uint64_t seed, int n)
{
    enum { SPEAKERS = 4, LETTERS = 26 };
    uint64_t state = 1; /* the same sounds and voices whatever the seed */
    float sound[LETTERS][N], voice[SPEAKERS][N];
    const float silence[N] = {-2};
    growing b = {.room = 0};
    for (int i = 0; i < LETTERS * N; i++)
        sound[i / N][i % N] = normal(&state);
    for (int i = 0; i < SPEAKERS * N; i++)
        voice[i / N][i % N] = 0.3F * normal(&state);
    for (int i = 0; i < n * RECORDINGS_DIGITS * SPEAKERS && sg_ok(g); i++) {
        recording r = {.digit = i % RECORDINGS_DIGITS, .index = i / (RECORDINGS_DIGITS * SPEAKERS)};
        int speaker = i / RECORDINGS_DIGITS % SPEAKERS;
        const float *at = silence;
        snprintf(r.speaker, sizeof r.speaker, "voice%d", speaker);
        for (const char *s = recordings_names[r.digit]; *s; s++) {
            r.frames += glide(g, &b, &seed, at, sound[*s - 'a'], voice[speaker]);
            at = sound[*s - 'a'];
        }
        r.frames += glide(g, &b, &seed, at, silence, voice[speaker]);
        add_recording(g, &b, r);
    }
    return finish(g, &b);
}
