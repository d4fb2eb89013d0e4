/*
 * A way of writing a date is one row of `formats`: text with fields, a percent sign and a letter,
 * whose meaning is a row of `fields`. Nothing here depends on the locale, the clock or the
 * platform's random numbers.
 */
#include "examples/dates.h"

#include <string.h>

/* Ways of writing; the letters stand in `fields`. */
static const char *const formats[] = {
    /* English, in words */
    "%A, %e %B %Y",
    "%A %e %B %Y",
    "%A %o %B %Y",
    "%A, %B %e, %Y",
    "%A, %B %o, %Y",
    "%A the %o of %B %Y",
    "%a %e %b %y",
    "%a, %d %b %Y",
    "%a %b %d %Y",
    "%a. %p %e, %Y",
    "%b %o, %Y",
    "%b %e, %Y",
    "%b-%d-%Y",
    "%p %e, %Y",
    "%p %o %Y",
    "%B %e, %Y",
    "%B %e %Y",
    "%B %o, %Y",
    "%B the %o, %Y",
    "%B %w, %x",
    "the %o of %B, %Y",
    "the %o of %p, %Y",
    "the %w of %B, %Y",
    "the %w of %B %x",
    "the %o day of %B, %Y",
    "on the %o of %B in the year %Y",
    "%e %B %Y",
    "%e %B, %Y",
    "%o %B %Y",
    "%o of %B %Y",
    "%o %b '%y",
    "%e %b %Y",
    "%e %p %Y",
    "%e %b %y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d/%b/%Y",
    "%d%b%Y",
    "%d.%r.%Y",
    "%e %r %Y",
    "%Y %B %e",
    "%Y, %B %o",
    "%Y-%b-%d",
    "%Y %b %e, %a",
    /* numbers alone */
    "%d/%m/%Y",
    "%d/%m/%y",
    "%e/%n/%Y",
    "%e/%n/%y",
    "%d.%m.%Y",
    "%e.%n.%y",
    "%e. %n. %Y",
    "%d-%m-%Y",
    "%e-%n-%y",
    "%d %m %Y",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y/%n/%e",
    "%Y.%m.%d",
    "%Y.%n.%e",
    "%Y %m %d",
    "%Y%m%d",
    "%y%m%d",
    "%A %d/%m/%Y",
    "%a %Y-%m-%d",
    /* Chinese */
    "%Y年%n月%e日",
    "%Y年%m月%d日",
    "%Y 年 %n 月 %e 日",
    "%Y年%n月%e号",
    "%y年%n月%e日",
    "%y年%n月%e号",
    "公元%Y年%n月%e日",
    "%n月%e日，%Y年",
    "%n月%e号（%Y年）",
    "%Y年%n月%e日 星期%k",
    "%Y年%n月%e日星期%k",
    "%Y年%n月%e日（星期%k）",
    "%Y年%n月%e日，周%k",
    "%Y年%n月%e日（週%k）",
    "%Y年%n月%e号礼拜%K",
    "星期%K，%Y年%n月%e日",
    "%Y/%n/%e（%k）",
    "%Y-%m-%d 周%k",
    "周%k %Y.%n.%e",
    "%F年%G月%H日",
    "%Y年%M月%D日",
    "%z年%n月%e日",
    "%c年%M月%D日",
    "%z年%M月%D日",
    "%c年%M月%N日",
    "%c年%M月%D号",
    "%c年%M月%D日星期%k",
    "%z年%M月%D日，星期%K",
    "%s年%M月%D日",
    "%s年%M月%N",
    "%M月%D日，%c年",
    "公元%c年%M月%D日",
    "%T年%U月%V日",
};

static const char *const months[] = {"",        "January",  "February", "March",  "April",
                                     "May",     "June",     "July",     "August", "September",
                                     "October", "November", "December"};
static const char *const press_months[] = {"",     "Jan.", "Feb.",  "Mar.", "Apr.", "May", "June",
                                           "July", "Aug.", "Sept.", "Oct.", "Nov.", "Dec."};
static const char *const roman[] = {"",    "I",    "II", "III", "IV", "V",  "VI",
                                    "VII", "VIII", "IX", "X",   "XI", "XII"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
static const char *const sun_days[] = {"日", "一", "二", "三", "四", "五", "六"};
static const char *const heaven_days[] = {"天", "一", "二", "三", "四", "五", "六"};

static const char *const numbers[] = {"zero",    "one",     "two",       "three",    "four",
                                      "five",    "six",     "seven",     "eight",    "nine",
                                      "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                      "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
static const char *const ordinals[] = {
    "",           "first",     "second",    "third",       "fourth",     "fifth",     "sixth",
    "seventh",    "eighth",    "ninth",     "tenth",       "eleventh",   "twelfth",   "thirteenth",
    "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"};
static const char *const tens[] = {"",      "",      "twenty",  "thirty", "forty",
                                   "fifty", "sixty", "seventy", "eighty", "ninety"};

/* The signs of 0..9, then of ten: 〇 and 零 are both in use for zero. */
static const char *const ascii[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const wide[] = {"０", "１", "２", "３", "４", "５", "６", "７", "８", "９"};
static const char *const round_zero[] = {"〇", "一", "二", "三", "四", "五",
                                         "六", "七", "八", "九", "十"};
static const char *const full_zero[] = {"零", "一", "二", "三", "四", "五",
                                        "六", "七", "八", "九", "十"};
static const char *const cheque[] = {"零", "壹", "贰", "叁", "肆", "伍",
                                     "陆", "柒", "捌", "玖", "拾"};

/* A text that grows in a fixed room; the longest row of `formats` makes 54 bytes. */
typedef struct text {
    char *at;
    size_t room;
} text;

static void put_bytes(text *t, const char *s, size_t n)
{
    if (n >= t->room)
        n = t->room - 1;
    memcpy(t->at, s, n);
    t->at += n;
    t->room -= n;
    *t->at = '\0';
}

static void put(text *t, const char *s)
{
    put_bytes(t, s, strlen(s));
}

/* The functions below write one number with the words or signs that they are given. */

static void put_word(text *t, int value, const char *const *words)
{
    put(t, words[value]);
}

static void put_short(text *t, int value, const char *const *words)
{
    put_bytes(t, words[value], 3);
}

static void put_digits(text *t, int value, const char *const *sign)
{
    int unit = 1;
    while (value / unit >= 10)
        unit *= 10;
    for (; unit > 0; unit /= 10)
        put(t, sign[value / unit % 10]);
}

static void put_two_digits(text *t, int value, const char *const *sign)
{
    put(t, sign[value / 10 % 10]);
    put(t, sign[value % 10]);
}

static void put_ordinal(text *t, int value, const char *const *sign)
{
    static const char *const suffix[] = {"th", "st", "nd", "rd"};
    put_digits(t, value, sign);
    put(t, suffix[value / 10 == 1 || value % 10 > 3 ? 0 : value % 10]);
}

/* 0..99 in English: the last word is of `last`, numbers or ordinals. */
static void put_words(text *t, int value, const char *const *last)
{
    const char *ten = tens[value / 10];
    if (value < 20) {
        put(t, last[value]);
    } else if (value % 10 != 0) {
        put(t, ten);
        put(t, "-");
        put(t, last[value % 10]);
    } else if (last == numbers) {
        put(t, ten);
    } else {
        put_bytes(t, ten, strlen(ten) - 1);
        put(t, "ieth"); /* twenty, twentieth */
    }
}

static void put_year_words(text *t, int year, const char *const *words)
{
    if (year < 2000 || year >= 2010) {
        put(t, year < 2000 ? "nineteen " : "twenty ");
        put_words(t, year % 100, words);
    } else {
        put(t, year == 2000 ? "two thousand" : "two thousand and ");
        if (year > 2000)
            put(t, words[year % 10]);
    }
}

/* 1..31 counted in tens: 21 is 二十一, and 10 is 十 rather than 一十. */
static void put_counted(text *t, int value, const char *const *sign)
{
    if (value >= 20)
        put(t, sign[value / 10]);
    if (value >= 10)
        put(t, sign[10]);
    if (value % 10 != 0)
        put(t, sign[value % 10]);
}

/* The same with one sign for twenty and for thirty: 廿一, 卅. */
static void put_merged_tens(text *t, int value, const char *const *sign)
{
    if (value >= 20) {
        put(t, value < 30 ? "廿" : "卅");
        value = value % 10;
    }
    put_counted(t, value, sign);
}

/* On cheques nothing may be squeezed in: 零 stands before what is short, and ten is 壹拾. */
static void put_cheque(text *t, int value, const char *const *sign)
{
    if (value < 10 || value % 10 == 0)
        put(t, sign[0]);
    if (value >= 10) {
        put(t, sign[value / 10]);
        put(t, sign[10]);
    }
    if (value % 10 != 0)
        put(t, sign[value % 10]);
}

enum { YEAR, SHORT_YEAR, MONTH, DAY, WEEKDAY, PARTS }; /* WEEKDAY 0 is Sunday */

static const struct field {
    char letter;
    int part;
    void (*put)(text *t, int value, const char *const *words);
    const char *const *words;
} fields[] = {
    {'Y', YEAR, put_digits, ascii},                /* 2026 */
    {'y', SHORT_YEAR, put_two_digits, ascii},      /* 26 */
    {'x', YEAR, put_year_words, numbers},          /* twenty twenty-six */
    {'F', YEAR, put_digits, wide},                 /* ２０２６ */
    {'c', YEAR, put_digits, round_zero},           /* 二〇二六 */
    {'z', YEAR, put_digits, full_zero},            /* 二零二六 */
    {'s', SHORT_YEAR, put_two_digits, round_zero}, /* 二六 */
    {'T', YEAR, put_digits, cheque},               /* 贰零贰陆 */
    {'m', MONTH, put_two_digits, ascii},           /* 03 */
    {'n', MONTH, put_digits, ascii},               /* 3 */
    {'B', MONTH, put_word, months},                /* March */
    {'b', MONTH, put_short, months},               /* Mar */
    {'p', MONTH, put_word, press_months},          /* Mar. */
    {'r', MONTH, put_word, roman},                 /* III */
    {'G', MONTH, put_digits, wide},                /* ３ */
    {'M', MONTH, put_counted, round_zero},         /* 三 */
    {'U', MONTH, put_cheque, cheque},              /* 零叁 */
    {'d', DAY, put_two_digits, ascii},             /* 05 */
    {'e', DAY, put_digits, ascii},                 /* 5 */
    {'o', DAY, put_ordinal, ascii},                /* 5th */
    {'w', DAY, put_words, ordinals},               /* fifth */
    {'H', DAY, put_digits, wide},                  /* ５ */
    {'D', DAY, put_counted, round_zero},           /* 二十一 */
    {'N', DAY, put_merged_tens, round_zero},       /* 廿一 */
    {'V', DAY, put_cheque, cheque},                /* 零伍 */
    {'A', WEEKDAY, put_word, weekdays},            /* Saturday */
    {'a', WEEKDAY, put_short, weekdays},           /* Sat */
    {'k', WEEKDAY, put_word, sun_days},            /* 六, 日 */
    {'K', WEEKDAY, put_word, heaven_days},         /* 六, 天 */
};

static void put_field(text *t, char letter, const int *value)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].letter == letter)
            fields[i].put(t, value[fields[i].part], fields[i].words);
}

static bool leap(int year)
{
    return year % 4 == 0; /* 2000, the only century of the window, was one too */
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && leap(year) ? 29 : days[month - 1];
}

static int weekday_of(int year, int month, int day)
{
    int n = day - 1; /* days since 1 January 1950, a Sunday */
    for (int y = DATES_FIRST_YEAR; y < year; y++)
        n += leap(y) ? 366 : 365;
    for (int m = 1; m < month; m++)
        n += days_in(year, m);
    return n % 7;
}

static void change_letters(char *s, date_case letters)
{
    for (; *s != '\0'; s++)
        if (letters == DATES_UPPER && *s >= 'a' && *s <= 'z')
            *s = (char)(*s - 'a' + 'A');
        else if (letters == DATES_LOWER && *s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

int dates_formats(void)
{
    return (int)(sizeof formats / sizeof *formats);
}

bool dates_for_test(int year)
{
    return year % 7 == 3;
}

void dates_write(int format, date_case letters, int year, int month, int day, date_pair *out)
{
    int value[PARTS] = {year, year % 100, month, day, weekday_of(year, month, day)};
    *out = (date_pair){.source = ""};
    text t = {out->source, sizeof out->source};
    for (const char *f = formats[format]; *f != '\0'; f++)
        if (*f == '%')
            put_field(&t, *++f, value);
        else
            put_bytes(&t, f, 1);
    change_letters(out->source, letters);
    text iso = {out->target, sizeof out->target};
    put_digits(&iso, year, ascii);
    put(&iso, "-");
    put_two_digits(&iso, month, ascii);
    put(&iso, "-");
    put_two_digits(&iso, day, ascii);
}

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int draw_below(uint64_t *state, int n)
{
    return (int)(draw(state) % (uint64_t)n);
}

enum { YEARS = DATES_LAST_YEAR - DATES_FIRST_YEAR + 1, MOST_DAYS = YEARS * 366 };

/* A day of the window in 16 bits: year, month - 1, day. */
typedef uint16_t packed_day;

static int list_days(bool test, packed_day *days)
{
    int n = 0;
    for (int y = DATES_FIRST_YEAR; y <= DATES_LAST_YEAR; y++)
        for (int m = 1; m <= 12 && dates_for_test(y) == test; m++)
            for (int d = 1; d <= days_in(y, m); d++)
                days[n++] = (packed_day)((y - DATES_FIRST_YEAR) << 9 | (m - 1) << 5 | d);
    return n;
}

static void shuffle(uint64_t *state, int n, packed_day *days)
{
    for (int i = n - 1; i > 0; i--) {
        int j = draw_below(state, i + 1);
        packed_day other = days[j];
        days[j] = days[i];
        days[i] = other;
    }
}

void dates_generate(uint64_t seed, bool test, int n, date_pair *out)
{
    packed_day days[MOST_DAYS];
    int total = list_days(test, days);
    for (int i = 0; i < n; i++) {
        if (i % total == 0)
            shuffle(&seed, total, days);
        int day = days[i % total];
        int format = draw_below(&seed, dates_formats());
        int letters = draw_below(&seed, 8); /* a quarter is all in upper or lower case */
        dates_write(format, letters < DATES_CASES ? (date_case)letters : DATES_AS_IS,
                    DATES_FIRST_YEAR + (day >> 9), (day >> 5 & 15) + 1, day & 31, &out[i]);
    }
}
