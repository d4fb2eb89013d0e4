#include "core/file/json.h"

static bool unexpected(sg__json *j, const char *wanted)
{
    return sg__file_fail(j->error, SG_BAD_FILE, "header byte %zu: %s", (size_t)(j->at - j->begin),
                         wanted);
}

static void skip_space(sg__json *j)
{
    while (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r') {
        j->at++;
    }
}

bool sg__json_next(sg__json *j, char c)
{
    skip_space(j);
    if (*j->at != c) {
        return false;
    }
    j->at++;
    return true;
}

bool sg__json_expect(sg__json *j, char c)
{
    char wanted[] = "'?' expected";
    wanted[1] = c;
    return sg__json_next(j, c) || unexpected(j, wanted);
}

bool sg__json_more(sg__json *j, char end, bool *ok)
{
    if (sg__json_next(j, ',')) {
        return true;
    }
    *ok = sg__json_expect(j, end);
    return false;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The four digits at s as one code; -1 if they are none. */
static int32_t hex_code(const char *s)
{
    int32_t code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(s[i]);
        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

static char *put_utf8(char *out, int32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const int first[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (char)(first[more] | code >> 6 * more);
    while (more-- > 0) {
        *out++ = (char)(0x80 | (code >> 6 * more & 0x3f));
    }
    return out;
}

/* "\uXXXX", or two of them for a code beyond U+FFFF; the text is longer than what it becomes. */
static bool unicode_escape(sg__json *j, char **out)
{
    int32_t code = hex_code(j->at + 2);
    if (code <= 0) {
        return unexpected(j, code == 0 ? "NUL in a string" : "four hexadecimal digits expected");
    }
    char *next = j->at + 6;
    if (code >= 0xd800 && code < 0xe000) {
        int32_t low = code < 0xdc00 && next[0] == '\\' && next[1] == 'u' ? hex_code(next + 2) : -1;
        if (low < 0xdc00 || low >= 0xe000) {
            return unexpected(j, "half of a surrogate pair");
        }
        code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
        next += 6;
    }
    *out = put_utf8(*out, code);
    j->at = next;
    return true;
}

static bool escape(sg__json *j, char **out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (j->at[1] == 'u') {
        return unicode_escape(j, out);
    }
    for (int i = 0; names[i] != '\0'; i++) {
        if (j->at[1] == names[i]) {
            *(*out)++ = values[i];
            j->at += 2;
            return true;
        }
    }
    return unexpected(j, "unknown escape");
}

bool sg__json_string(sg__json *j, const char **string)
{
    if (!sg__json_next(j, '"')) {
        return unexpected(j, "a string expected");
    }
    char *out = j->at;
    *string = out;
    while (*j->at != '"') {
        if (*j->at == '\\') {
            if (!escape(j, &out)) {
                return false;
            }
            continue;
        }
        int n = sg__utf8(j->at);
        if (n == 0) {
            return unexpected(j, *j->at == '\0' ? "a string without an end" : "not valid UTF-8");
        }
        if ((unsigned char)*j->at < 0x20) {
            return unexpected(j, "a control character in a string");
        }
        while (n-- > 0) {
            *out++ = *j->at++;
        }
    }
    j->at++;
    *out = '\0'; /* at the latest where the closing quote was */
    return true;
}

bool sg__json_int(sg__json *j, int64_t *value)
{
    skip_space(j);
    const char *start = j->at;
    *value = 0;
    for (; *j->at >= '0' && *j->at <= '9'; j->at++) {
        int digit = *j->at - '0';
        if (*value > (INT64_MAX - digit) / 10) {
            return unexpected(j, "the number is too large");
        }
        *value = *value * 10 + digit;
    }
    if (j->at == start || (*start == '0' && j->at > start + 1)) {
        return unexpected(j, "a whole number, 0 or more, expected");
    }
    return true;
}
