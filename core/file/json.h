/*
 * A reader for the JSON of safetensors headers: objects, strings and whole numbers, nothing else.
 * It decodes strings where they stand and allocates nothing, so it cannot run out of memory half
 * way. (Jansson's reader, tried first, drops a character without a word if its buffer cannot grow.)
 */
#ifndef SG_FILE_JSON_H
#define SG_FILE_JSON_H

#include "core/file/file.h"

/* The text is ended by NUL, which it does not contain otherwise. */
typedef struct sg__json {
    char *begin, *at;
    const sg__file_error *error;
} sg__json;

/* Is c the next character after white space? Then it is passed over. */
bool sg__json_next(sg__json *j, char c);
/* These write an error with the place if what they want is not there. */
bool sg__json_expect(sg__json *j, char c);
bool sg__json_string(sg__json *j, const char **string);
bool sg__json_int(sg__json *j, int64_t *value); /* 0 or more */
/* After an item of a list: true if a comma follows, else the end of the list must. */
bool sg__json_more(sg__json *j, char end, bool *ok);

#endif
