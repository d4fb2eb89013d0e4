/*
 * The worst error of the f32 functions over all floats, for each instruction set of this CPU.
 *
 *     ulp [stride [function]]
 *
 * takes every stride-th of the 2^32 inputs (1 by default: two minutes for a function) and prints
 * the worst distance from libm's f64 result, in units of the last place, with its input. It fails
 * where that is above 2. ops/kernel/vector_math.h has the figures.
 */
#include "tests/ulp.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    bool good = true;
    for (size_t f = 0; f < FUNCTIONS; f++) {
        if (argc > 2 && strcmp(argv[2], functions[f].name) != 0)
            continue;
        worst_case worst[SG_ISAS];
        scan(f, stride ? stride : 1, worst);
        for (int s = 0; s < SG_ISAS; s++) {
            const worst_case *w = &worst[s];
            if (has_set(s))
                printf("%-8s %-7s %.3f at %.9g (%a), which gives %.9g\n", functions[f].name,
                       set_names[s], w->distance, (double)w->x, (double)w->x, (double)w->y);
            good = good && w->distance <= 2;
        }
        fflush(stdout);
    }
    return good ? 0 : 1;
}
