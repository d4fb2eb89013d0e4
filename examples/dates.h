/*
 * Dates as people write them, in English and Chinese, each with its ISO form: the data of the
 * translation example. Everything follows from a seed, alike on every machine; no file is needed.
 *
 *     Saturday, 21 November 2026      2026-11-21
 *     the 21st of Nov., 2026          2026-11-21
 *     二〇二六年十一月廿一日          2026-11-21
 *
 * Conventions, by which every text means exactly one date:
 *   - years are 1950..2049, and a year of two digits is the one that lies there: 50..99 are 19xx,
 *     00..49 are 20xx;
 *   - of three numbers, four digits in front are the year (2026/11/21); otherwise the day comes
 *     first (03/04/26 is the 3rd of April), never the month;
 *   - eight digits are YYYYMMDD, six are YYMMDD; a year before 年 may have two digits;
 *   - a weekday, where there is one, is the date's own.
 *
 * Years with year % 7 == 3 (1956, 1963 .. 2047) are for testing and no others are: a model has seen
 * all their digits in training, but none of these years, and no text is in both sets.
 */
#ifndef EXAMPLES_DATES_H
#define EXAMPLES_DATES_H

#include <stdbool.h>
#include <stdint.h>

enum { DATES_FIRST_YEAR = 1950, DATES_LAST_YEAR = 2049 };

typedef struct date_pair {
    char source[96]; /* UTF-8 */
    char target[11]; /* "2026-11-21" */
} date_pair;

typedef enum { DATES_AS_IS, DATES_UPPER, DATES_LOWER, DATES_CASES } date_case;

/* n pairs of the training or the test years, in random order: a date comes again only when all of
 * its set (31,411 and 5,114 of them) have come once. The first pairs do not depend on n. */
void dates_generate(uint64_t seed, bool test, int n, date_pair *out);

bool dates_for_test(int year);
int dates_formats(void); /* how many ways of writing there are */
/* One date in one way, 0 <= format < dates_formats(), its Latin letters as they are or all alike.
 */
void dates_write(int format, date_case letters, int year, int month, int day, date_pair *out);

#endif
