/* See pictures.h. */
#include "examples/pictures.h"
#include "examples/program.h"

#include <string.h>

enum { KINDS = 4, QUARTER = 4, NONE = KINDS * KINDS };

static const char *const shapes[KINDS][QUARTER] = {{"####", "####", "####", "####"},
                                                   {"####", "#..#", "#..#", "####"},
                                                   {"#..#", ".##.", ".##.", "#..#"},
                                                   {"....", "....", "####", "####"}};
static const char *const shape_names[2][KINDS] = {{"square", "ring", "cross", "bar"},
                                                  {"方块", "环", "叉", "横条"}};
static const char *const colour_names[2][KINDS] = {{"red", "green", "blue", "yellow"},
                                                   {"红", "绿", "蓝", "黄"}};
static const char *const corner_names[2][KINDS] = {
    {"top left", "top right", "bottom left", "bottom right"}, {"左上", "右上", "左下", "右下"}};
static const float colours[KINDS][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}};

/* Things by corner: shape and colour, or NONE. */
typedef struct scene {
    int thing[KINDS];
} scene;

static scene draw_scene(uint64_t *state)
{
    scene s = {{NONE, NONE, NONE, NONE}};
    int first = (int)(program_draw(state) % KINDS), second = (int)(program_draw(state) % KINDS);
    s.thing[first] = (int)(program_draw(state) % NONE);
    s.thing[second] = second == first ? s.thing[first] : (int)(program_draw(state) % NONE);
    return s;
}

static bool for_test(const scene *s)
{
    uint64_t number = 0;
    for (int i = 0; i < KINDS; i++)
        number = number * (NONE + 1) + (uint64_t)s->thing[i];
    return program_draw(&number) % 8 == 0;
}

static void put(picture *p, int corner, int thing)
{
    int row = corner / 2 * (QUARTER + 1), column = corner % 2 * (QUARTER + 1);
    for (int i = 0; i < QUARTER * QUARTER; i++) {
        int at = (row + i / QUARTER) * PICTURES_SIDE + column + i % QUARTER;
        if (shapes[thing / KINDS][i / QUARTER][i % QUARTER] == '#')
            memcpy(p->rgb + 3 * at, colours[thing % KINDS], sizeof colours[0]);
    }
    for (int language = 0; language < 2; language++) {
        char *text = language ? p->chinese : p->english;
        size_t n = strlen(text), room = sizeof p->english - n;
        const char *shape = shape_names[language][thing / KINDS];
        const char *colour = colour_names[language][thing % KINDS];
        const char *where = corner_names[language][corner];
        if (language)
            snprintf(text + n, room, "%s%s有%s色的%s", n ? "，" : "", where, colour, shape);
        else
            snprintf(text + n, room, "%sa %s %s at the %s", n ? " and " : "", colour, shape, where);
    }
}

void pictures_generate(uint64_t seed, bool test, int n, picture *p)
{
    for (int i = 0; i < n; i++) {
        scene s = draw_scene(&seed);
        while (for_test(&s) != test)
            s = draw_scene(&seed);
        p[i] = (picture){.english = ""};
        for (int corner = 0; corner < KINDS; corner++)
            if (s.thing[corner] != NONE)
                put(&p[i], corner, s.thing[corner]);
        for (int k = 0; k < PICTURES_FEATURES; k++) /* noise in -0.3 .. 0.3 */
            p[i].rgb[k] += (float)(0.6 * program_uniform(&seed) - 0.3);
    }
}

static float distance(const float *rgb, const float *colour)
{
    float d = 0;
    for (int k = 0; k < 3; k++)
        d += (rgb[k] - colour[k]) * (rgb[k] - colour[k]);
    return d;
}

/* The colour that each pixel is nearest to. */
void pictures_draw(FILE *f, const picture *p)
{
    static const float black[3] = {0, 0, 0};
    for (int i = 0; i < PICTURES_SIDE * PICTURES_SIDE; i++) {
        const float *rgb = p->rgb + (size_t)3 * (size_t)i;
        char letter = '.';
        float best = distance(rgb, black);
        for (int c = 0; c < KINDS; c++) {
            float d = distance(rgb, colours[c]);
            letter = d < best ? colour_names[0][c][0] : letter;
            best = d < best ? d : best;
        }
        fprintf(f, "%s%c%s", i % PICTURES_SIDE ? "" : "    ", letter,
                (i + 1) % PICTURES_SIDE ? "" : "\n");
    }
}
