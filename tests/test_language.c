/* How the language models' examples cut a text into what is learnt and what is held out. */
#include "examples/language.h"

#include <criterion/criterion.h>

/* Each token but the first is in one of both parts to be predicted. */
Test(language, a_text_is_cut_without_loss)
{
    enum { MOST = 21 };
    static const double shares[] = {0, 0.1, 0.5, 0.9, 1};
    int32_t ids[MOST];
    for (int i = 0; i < MOST; i++)
        ids[i] = i;
    for (int count = 0; count <= MOST; count++)
        for (size_t k = 0; k < sizeof shares / sizeof *shares; k++) {
            language_parts p = language_cut(&(sg_sequence){count, ids}, shares[k]);
            int64_t predicted = count ? count - 1 : 0;
            int64_t of_first = p.first.count ? p.first.count - 1 : 0;
            int64_t of_rest = p.rest.count ? p.rest.count - 1 : 0;
            cr_expect_eq(of_first + of_rest, predicted, "%d, %g", count, shares[k]);
            cr_expect_eq(of_first, (int64_t)((double)predicted * shares[k]));
            for (int64_t i = 0; i < p.first.count; i++)
                cr_expect_eq(p.first.ids[i], i, "%d, %g", count, shares[k]);
            for (int64_t i = 0; i < p.rest.count; i++)
                cr_expect_eq(p.rest.ids[i], of_first + i, "%d, %g", count, shares[k]);
        }
}
