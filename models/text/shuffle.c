/*
 * Random orders of an iteration: functions of seed and epoch alone, so that it can be taken up
 * anywhere.
 */
#include "models/text/internal.h"

/* SplitMix64 (Steele, Lea, Flood 2014): the scrambling of its state. */
static uint64_t scramble(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t draw(uint64_t *state)
{
    return scramble(*state += 0x9E3779B97F4A7C15u);
}

uint64_t sg__text_epoch(uint64_t seed, int64_t epoch)
{
    return scramble(scramble(seed + 1) ^ (uint64_t)epoch);
}

/* What lies in the last, incomplete run of n is drawn again. */
uint64_t sg__text_draw_below(uint64_t *state, uint64_t n)
{
    uint64_t r, surplus = (UINT64_MAX % n + 1) % n;
    do {
        r = draw(state);
    } while (r > UINT64_MAX - surplus);
    return r % n;
}

void sg__text_shuffle(uint64_t *state, int n, int32_t *x)
{
    for (int i = 0; i < n; i++)
        x[i] = i;
    for (int i = n - 1; i > 0; i--) {
        uint64_t j = sg__text_draw_below(state, (uint64_t)i + 1);
        int32_t swap = x[i];
        x[i] = x[j];
        x[j] = swap;
    }
}
