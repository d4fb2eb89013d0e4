/*
 * The dates of the translation example. `read_date` is a second reading of the conventions in
 * dates.h, written from them and not from the writer: since it is a function of the text alone,
 * agreeing with it everywhere shows that no text means two dates.
 */
#include "examples/dates.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <criterion/criterion.h>

typedef struct date {
    int year, month, day, weekday; /* weekday -1: not written */
} date;

/* ---- a reader ----------------------------------------------------------------------------- */

/* Rewrites Chinese to ASCII: signs of numbers to their digits, ten to "T", twenty and thirty in one
 * sign to "W" and "H"; year, month, day and week to letters after an '@'. */
static const char *const signs[][2] = {
    {"〇", "0"},    {"零", "0"},  {"一", "1"},  {"二", "2"},    {"三", "3"},  {"四", "4"},
    {"五", "5"},    {"六", "6"},  {"七", "7"},  {"八", "8"},    {"九", "9"},  {"十", "T"},
    {"壹", "1"},    {"贰", "2"},  {"叁", "3"},  {"肆", "4"},    {"伍", "5"},  {"陆", "6"},
    {"柒", "7"},    {"捌", "8"},  {"玖", "9"},  {"拾", "T"},    {"廿", "W"},  {"卅", "H"},
    {"０", "0"},    {"１", "1"},  {"２", "2"},  {"３", "3"},    {"４", "4"},  {"５", "5"},
    {"６", "6"},    {"７", "7"},  {"８", "8"},  {"９", "9"},    {"年", "@y"}, {"月", "@m"},
    {"星期", "@w"}, {"周", "@w"}, {"週", "@w"}, {"礼拜", "@w"}, {"（", "@("}, {"）", "@)"},
    {"号", "@d"},   {"公元", ""}, {"，", ","},  {"天", "@d"},   {"日", "@d"},
};

static void transcribe(const char *s, char *out)
{
    while (*s != '\0') {
        size_t n = 0;
        for (size_t i = 0; i < sizeof signs / sizeof *signs && n == 0; i++)
            if (strncmp(s, signs[i][0], strlen(signs[i][0])) == 0) {
                n = strlen(signs[i][0]);
                strcpy(out, signs[i][1]);
                out += strlen(out);
            }
        if (n == 0) {
            n = 1;
            if (*s != ' ') /* spaces mean nothing in a Chinese date */
                *out++ = (char)tolower((unsigned char)*s);
        }
        s += n;
    }
    *out = '\0';
}

/* The number that starts at s: digits, or tens and ones. */
static int chinese_number(const char *s)
{
    int value = 0;
    bool counted = false;
    for (; *s != '\0' && (isdigit((unsigned char)*s) || strchr("TWH", *s) != NULL); s++) {
        if (*s == 'T')
            value = (value == 0 ? 1 : value) * 10;
        else if (!isdigit((unsigned char)*s))
            value = *s == 'W' ? 20 : 30;
        else
            value = counted ? value + *s - '0' : value * 10 + *s - '0';
        counted = counted || !isdigit((unsigned char)*s);
    }
    return value;
}

static int full_year(int year, int digits)
{
    return digits == 4 ? year : year >= 50 ? 1900 + year : 2000 + year;
}

/* Where the number that ends before `end` begins. */
static const char *number_before(const char *start, const char *end)
{
    while (end > start && (isdigit((unsigned char)end[-1]) || strchr("TWH", end[-1]) != NULL))
        end--;
    return end;
}

static date read_chinese(const char *source)
{
    char s[256];
    transcribe(source, s);
    date d = {0, 0, 0, -1};
    const char *year = strstr(s, "@y"), *month = strstr(s, "@m"), *week = strstr(s, "@w");
    const char *first = number_before(s, year);
    d.year = full_year(chinese_number(first), (int)(year - first));
    d.month = chinese_number(number_before(s, month));
    d.day = chinese_number(month + 2);
    if (week != NULL)
        d.weekday = week[2] == '@' ? 0 : week[2] - '0';
    return d;
}

/* Words stand at their values. */
static const char *const months[] = {"",        "january",  "february", "march",  "april",
                                     "may",     "june",     "july",     "august", "september",
                                     "october", "november", "december"};
static const char *const roman[] = {"",    "i",    "ii", "iii", "iv", "v",  "vi",
                                    "vii", "viii", "ix", "x",   "xi", "xii"};
static const char *const weekdays[] = {"sunday",   "monday", "tuesday", "wednesday",
                                       "thursday", "friday", "saturday"};
static const char *const cardinals[] = {"",        "one",     "two",       "three",    "four",
                                        "five",    "six",     "seven",     "eight",    "nine",
                                        "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                        "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
static const char *const ordinals[] = {
    "",           "first",      "second",     "third",     "fourth",    "fifth",
    "sixth",      "seventh",    "eighth",     "ninth",     "tenth",     "eleventh",
    "twelfth",    "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth",  "thirtieth"};
static const char *const tens[] = {"",      "ten",   "twenty",  "thirty", "forty",
                                   "fifty", "sixty", "seventy", "eighty", "ninety"};

/* Where a word stands in a list, the start of it being enough if `least` letters are there; -1. */
static int position(const char *word, int n, const char *const *list, size_t least)
{
    size_t length = strlen(word);
    for (int i = 0; i < n; i++)
        if (strcmp(word, list[i]) == 0 || (length >= least && strncmp(word, list[i], length) == 0))
            return i;
    return -1;
}
#define POSITION(word, list, least) position(word, (int)(sizeof list / sizeof *list), list, least)

typedef struct numbers {
    int n, value[3], digits[3]; /* those written in digits */
    int spoken, tens;           /* the year in words so far; a ten that awaits its ones */
} numbers;

/* The next number in words of a year: nineteen seventy-seven, two thousand and four. */
static void read_number_word(int value, numbers *found)
{
    found->tens = value;
    if (value == 1000)
        found->spoken *= 1000;
    else if (found->spoken == 19 || (found->spoken == 20 && value >= 10))
        found->spoken = found->spoken * 100 + value;
    else
        found->spoken += value;
}

static void read_word(const char *s, date *d, numbers *found)
{
    enum { START = 3, WHOLE = 99 };
    int month = POSITION(s, months, START), numeral = POSITION(s, roman, WHOLE);
    int weekday = POSITION(s, weekdays, START), ordinal = POSITION(s, ordinals, WHOLE);
    int cardinal = POSITION(s, cardinals, WHOLE), ten = POSITION(s, tens, WHOLE);
    if (month > 0 || numeral > 0)
        d->month = month > 0 ? month : numeral;
    if (weekday >= 0)
        d->weekday = weekday;
    if (ordinal > 0) { /* after nineteenth stand twentieth and thirtieth */
        d->day = found->tens + (ordinal < 20 ? ordinal : (ordinal - 18) * 10);
        found->tens = found->spoken = 0;
    }
    if (cardinal > 0)
        read_number_word(cardinal, found);
    else if (ten > 0)
        read_number_word(ten * 10, found);
    else if (strcmp(s, "thousand") == 0)
        read_number_word(1000, found);
}

static date read_latin(const char *s)
{
    date d = {0, 0, 0, -1};
    numbers found = {0};
    const char *week = strstr(s, "周") != NULL ? strstr(s, "周") : strstr(s, "（");
    if (week != NULL) {
        char sign[256];
        transcribe(week + 3, sign);
        d.weekday = sign[0] == '@' ? 0 : sign[0] - '0'; /* @d: Sunday, the sun's day */
    }
    while (*s != '\0') {
        char word[32];
        size_t n = 0;
        bool digit = isdigit((unsigned char)*s);
        while (n < sizeof word - 1 &&
               (digit ? isdigit((unsigned char)s[n]) : isalpha((unsigned char)s[n]))) {
            word[n] = (char)tolower((unsigned char)s[n]);
            n++;
        }
        word[n] = '\0';
        if (digit && found.n < 3) {
            found.value[found.n] = atoi(word);
            found.digits[found.n++] = (int)n;
        } else if (n > 0) {
            read_word(word, &d, &found);
        }
        s += n > 0 ? n : 1;
    }
    int *v = found.value, last = found.n - 1;
    if (found.n == 0) {
        d.year = found.spoken;
    } else if (found.n == 1 && d.month == 0) { /* 20261121, 261121 */
        d = (date){full_year(v[0] / 10000, found.digits[0] - 4), v[0] / 100 % 100, v[0] % 100, -1};
    } else {
        bool year_first = found.digits[0] == 4;
        d.year = year_first ? v[0] : full_year(v[last], found.digits[last]);
        d.month = d.month == 0 ? v[1] : d.month;
        d.day = d.day != 0 ? d.day : year_first ? v[last] : v[0];
    }
    return d;
}

static date read_date(const char *s)
{
    return strstr(s, "年") != NULL ? read_chinese(s) : read_latin(s);
}

/* ---- the calendar, after Sakamoto --------------------------------------------------------- */

static int weekday_of(int y, int m, int d)
{
    static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    y -= m < 3;
    return (y + y / 4 - y / 100 + y / 400 + shift[m - 1] + d) % 7;
}

static int last_day(int y, int m)
{
    int next = m == 12 ? weekday_of(y + 1, 1, 1) : weekday_of(y, m + 1, 1);
    return 28 + (next - weekday_of(y, m, 28) + 6) % 7;
}

static void check_pair(const date_pair *p, int format)
{
    date d = read_date(p->source);
    char iso[48];
    snprintf(iso, sizeof iso, "%04d-%02d-%02d", d.year, d.month, d.day);
    cr_assert_str_eq(iso, p->target, "format %d: \"%s\" reads as %s, not %s", format, p->source,
                     iso, p->target);
    if (d.weekday >= 0)
        cr_assert_eq(d.weekday, weekday_of(d.year, d.month, d.day),
                     "format %d: \"%s\" has the wrong weekday", format, p->source);
}

/* ---- tests -------------------------------------------------------------------------------- */

Test(dates, every_day_reads_back_in_every_format)
{
    int formats = dates_formats(), day = 0;
    for (int y = DATES_FIRST_YEAR; y <= DATES_LAST_YEAR; y++)
        for (int m = 1; m <= 12; m++)
            for (int d = 1, last = last_day(y, m); d <= last; d++, day++)
                for (int f = day % 5; f < formats; f += 5) { /* each day in a fifth of them */
                    date_pair p;
                    dates_write(f, (date_case)(day / 5 % DATES_CASES), y, m, d, &p);
                    check_pair(&p, f);
                }
    cr_assert_eq(day, 36525);
}

Test(dates, formats_are_many_and_differ)
{
    int n = dates_formats();
    cr_assert_geq(n, 40);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) { /* they may agree on one day, such as with the 5th and 05 */
            date_pair a[2], b[2];
            dates_write(i, DATES_AS_IS, 2006, 3, 5, &a[0]);
            dates_write(j, DATES_AS_IS, 2006, 3, 5, &b[0]);
            dates_write(i, DATES_AS_IS, 2006, 9, 25, &a[1]);
            dates_write(j, DATES_AS_IS, 2006, 9, 25, &b[1]);
            cr_assert(strcmp(a[0].source, b[0].source) != 0 ||
                          strcmp(a[1].source, b[1].source) != 0,
                      "formats %d and %d both write \"%s\"", i, j, a[0].source);
        }
}

Test(dates, known_texts)
{
    static const struct {
        const char *text;
        int year, month, day;
    } rows[] = {
        {"Saturday, 21 November 2026", 2026, 11, 21},
        {"21/11/26", 2026, 11, 21},
        {"Nov 21st, 2026", 2026, 11, 21},
        {"21.11.2026", 2026, 11, 21},
        {"2026/11/21", 2026, 11, 21},
        {"the 21st of November, 2026", 2026, 11, 21},
        {"Sat 21 Nov 26", 2026, 11, 21},
        {"20261121", 2026, 11, 21},
        {"二〇二六年十一月二十一日", 2026, 11, 21},
        {"11月21日，2026年", 2026, 11, 21},
        {"2026年11月21日 星期六", 2026, 11, 21},
        {"二零二六年11月21日", 2026, 11, 21},
        {"二〇二六年十一月廿一日", 2026, 11, 21},
        {"26年11月21日", 2026, 11, 21},
        {"２０２６年１１月２１日", 2026, 11, 21},
        {"贰零贰陆年壹拾壹月贰拾壹日", 2026, 11, 21},
        {"SATURDAY, 21 NOVEMBER 2026", 2026, 11, 21},
        {"21.xi.2026", 2026, 11, 21},
        {"February twenty-ninth, two thousand", 2000, 2, 29},
        {"December thirtieth, nineteen fifty", 1950, 12, 30},
        {"March twelfth, two thousand and four", 2004, 3, 12},
        {"Sept. 3rd 1999", 1999, 9, 3},
        {"May 11th, 2010", 2010, 5, 11},
        {"2026年11月22号礼拜天", 2026, 11, 22},
        {"一九五〇年十月卅一日", 1950, 10, 31},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool found = false;
        for (int f = 0; f < dates_formats() && !found; f++)
            for (int c = 0; c < DATES_CASES && !found; c++) {
                date_pair p;
                dates_write(f, (date_case)c, rows[i].year, rows[i].month, rows[i].day, &p);
                found = strcmp(p.source, rows[i].text) == 0;
            }
        cr_assert(found, "nobody writes \"%s\"", rows[i].text);
    }
}

enum { MANY = 40000, TESTS = 5114 };
static date_pair train[MANY], test[TESTS];

static uint64_t hash_pairs(int n, const date_pair *p)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (int i = 0; i < n; i++) {
        for (const char *s = p[i].source; *s != '\0'; s++)
            h = (h ^ (unsigned char)*s) * 0x100000001b3u;
        for (const char *s = p[i].target; *s != '\0'; s++)
            h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    }
    return h;
}

Test(dates, follow_from_the_seed)
{
    dates_generate(1, false, 5000, train);
    dates_generate(1, true, 5000, test);
    cr_assert_eq(hash_pairs(5000, train), UINT64_C(0x6e80be61fa9f96b0));
    cr_assert_eq(hash_pairs(5000, test), UINT64_C(0xc5ce497e0fd0e69b));
    dates_generate(1, false, 100, test);
    cr_assert_eq(hash_pairs(100, test), hash_pairs(100, train), "depends on n");
    dates_generate(2, false, 100, test);
    cr_assert_neq(hash_pairs(100, test), hash_pairs(100, train), "does not depend on the seed");
}

static int by_target(const void *a, const void *b)
{
    return strcmp(((const date_pair *)a)->target, ((const date_pair *)b)->target);
}

Test(dates, test_years_are_never_trained)
{
    bool seen[2][DATES_LAST_YEAR + 1] = {{false}};
    dates_generate(7, false, MANY, train);
    dates_generate(7, true, TESTS, test);
    for (int i = 0; i < MANY; i++)
        seen[0][atoi(train[i].target)] = true;
    for (int i = 0; i < TESTS; i++)
        seen[1][atoi(test[i].target)] = true;
    int years = 0;
    for (int y = DATES_FIRST_YEAR; y <= DATES_LAST_YEAR; y++) {
        cr_assert_neq(seen[0][y], seen[1][y], "year %d", y);
        cr_assert_eq(seen[1][y], y % 7 == 3, "year %d", y);
        cr_assert_eq(dates_for_test(y), seen[1][y], "year %d", y);
        years += seen[1][y];
    }
    cr_assert_eq(years, 14);
    qsort(test, TESTS, sizeof *test, by_target); /* each of their days has come once */
    for (int i = 1; i < TESTS; i++)
        cr_assert_str_neq(test[i].target, test[i - 1].target);
}

Test(dates, generated_pairs_are_right_and_varied)
{
    int upper = 0, lower = 0, chinese = 0;
    dates_generate(3, false, MANY, train);
    for (int i = 0; i < MANY; i++) {
        const char *s = train[i].source;
        check_pair(&train[i], -1);
        upper += strstr(s, "NOV") != NULL;
        lower += strstr(s, "nov") != NULL;
        chinese += strstr(s, "月") != NULL;
    }
    cr_assert_gt(upper, 100);
    cr_assert_gt(lower, 100);
    cr_assert_gt(chinese, MANY / 5);
    for (int f = 0; f < dates_formats(); f++) { /* every format is drawn */
        bool found = false;
        for (int i = 0; i < MANY && !found; i++) {
            date d = read_date(train[i].target);
            date_pair p;
            dates_write(f, DATES_AS_IS, d.year, d.month, d.day, &p);
            found = strcmp(p.source, train[i].source) == 0;
        }
        cr_assert(found, "format %d is never drawn", f);
    }
}
