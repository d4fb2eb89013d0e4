/* See syllables.h. */
#include "examples/syllables.h"
#include "examples/program.h"

#include <stdlib.h>
#include <string.h>

const char *const syllables_styles[] = {"Italian", "Russian", "Japanese", "Chinese", "Greek"};

/* Beginnings, middles and ends of each style. */
static const char *const parts[SYLLABLES_STYLES][3][9] = {
    {{"Ros", "Bian", "Ferr", "Mar", "Con", "Gal", "Bel", "Ric"},
     {"in", "ell", "ett", "on", "ard", "uc"},
     {"i", "o", "a", "ini", "etti"}},
    {{"Iv", "Petr", "Sok", "Mor", "Vol", "Kuz", "Pop", "Nov"},
     {"an", "ol", "oz", "ik", "ar", "en"},
     {"ov", "ev", "in", "sky", "enko"}},
    {{"Ya", "Ta", "Su", "Ko", "Mi", "Na", "Ha", "Fu"},
     {"ma", "na", "ka", "su", "mo", "shi"},
     {"da", "ta", "to", "mura", "moto"}},
    {{"Zh", "X", "L", "W", "Ch", "Q", "H", "Sh"},
     {"a", "ia", "o", "ao", "ua", "e"},
     {"ng", "n", "o", "i", "ng"}},
    {{"Papa", "Andr", "Kar", "Nik", "Theo", "Dim", "Man", "Lamb"},
     {"ad", "ak", "ol", "os", "ar", "in"},
     {"opoulos", "idis", "akis", "iou", "as"}},
};

static const char *pick(const char *const *list, uint64_t *state)
{
    uint64_t n = 0;
    while (list[n])
        n++;
    return list[program_draw(state) % n];
}

sg_corpus *syllables_names(sg_context *g, int n, uint64_t seed)
{
    enum { ROOM = 32 };
    char(*room)[ROOM] = malloc((size_t)n * sizeof *room);
    const char **text = malloc(2 * (size_t)n * sizeof *text);
    for (int i = 0; room && text && i < n; i++) {
        int style = i % SYLLABLES_STYLES;
        room[i][0] = '\0';
        for (int j = 0; j < 3; j++)
            strcat(room[i], pick(parts[style][j], &seed));
        text[i] = room[i];
        text[n + i] = syllables_styles[style];
    }
    if (!room || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d names", n);
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, text, text ? text + n : NULL);
    free(room);
    free(text);
    return c;
}
