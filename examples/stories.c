/* See stories.h. */
#include "examples/stories.h"
#include "examples/program.h"

#include <stdlib.h>
#include <string.h>

enum { PEOPLE = 4, PLACES = 6, LEAST = 2, MOST = 6, ROOM = 512 };

static const char *const people[PEOPLE] = {"john", "mary", "daniel", "sandra"};
static const char *const places[PLACES] = {"garden",  "kitchen", "office",
                                           "bedroom", "hallway", "bathroom"};

/* Writes one, and returns the answer. */
static const char *tell(uint64_t *seed, char *s)
{
    static const char *const went[] = {"went to", "moved to", "travelled to"};
    int where[PEOPLE] = {0}, last = 0, n = LEAST + (int)(program_draw(seed) % (MOST - LEAST + 1));
    bool seen[PEOPLE] = {false};
    for (int i = 0; i < n; i++) {
        last = (int)(program_draw(seed) % PEOPLE);
        where[last] = (int)(program_draw(seed) % PLACES);
        seen[last] = true;
        s += sprintf(s, "%s %s the %s . ", people[last], went[program_draw(seed) % 3],
                     places[where[last]]);
    }
    int asked = (int)(program_draw(seed) % PEOPLE);
    asked = seen[asked] ? asked : last;
    sprintf(s, "| where is %s ?", people[asked]);
    return places[where[asked]];
}

sg_corpus *stories_generate(sg_context *g, uint64_t seed, int n)
{
    char(*room)[ROOM] = malloc((size_t)n * sizeof *room);
    const char **text = malloc(2 * (size_t)n * sizeof *text);
    if (!room || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d stories", n);
    for (int i = 0; i < n && sg_ok(g); i++) {
        text[i] = room[i];
        text[n + i] = tell(&seed, room[i]);
    }
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, text, text ? text + n : NULL);
    free(room);
    free(text);
    return c;
}
