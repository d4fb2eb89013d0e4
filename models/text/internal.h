/*
 * What the files of models/text share: growing byte buffers, a hash table of byte strings, code
 * points, random orders. Whatever can fail raises its error in the context and returns false (or
 * -1, or NULL).
 */
#ifndef SG_TEXT_INTERNAL_H
#define SG_TEXT_INTERNAL_H

#include "models/text.h"

/* Buffers start as {0}. A list of tokens is a buffer in which each is ended by NUL. */
typedef struct sg__bytes {
    char *data;
    size_t size, room;
} sg__bytes;

bool sg__text_bytes_reserve(sg_context *g, sg__bytes *b, size_t more);
bool sg__text_bytes_add(sg_context *g, sg__bytes *b, const void *data, size_t n);
void sg__text_bytes_free(sg__bytes *b); /* leaves an empty one */
/* n zeroed items, at least one byte. */
void *sg__text_alloc(sg_context *g, size_t n, size_t item);

/* Output in the manner of snprintf that never cuts a code point. */
typedef struct sg__cut {
    char *out;
    size_t size, whole;
    bool full;
} sg__cut;
void sg__text_cut_add(sg__cut *c, const char *text, size_t n);
size_t sg__text_cut_end(sg__cut *c); /* writes the NUL; the bytes of the whole text */

/* A set of byte strings with counters; entries are numbered in the order they came. */
typedef struct sg__entry {
    size_t at, size; /* of the key in `keys`, where a NUL follows it */
    uint64_t hash;
    int64_t count; /* free for the user of the table */
} sg__entry;

typedef struct sg__table {
    sg__bytes keys;
    sg__entry *entry;
    size_t entries, room;
    uint32_t *slot; /* entry + 1, or 0; open addressing, at most half full */
    size_t slots;   /* a power of two, or 0 */
} sg__table;

int64_t sg__text_table_find(const sg__table *t, const void *key,
                            size_t n); /* -1: it is not there */
int64_t sg__text_table_add(sg_context *g, sg__table *t, const void *key, size_t n);
void sg__text_table_free(sg__table *t);
uint64_t sg__text_hash(const void *data, size_t n, uint64_t seed); /* XXH3 */

/* Reads one code point, n > 0: returns its bytes. What is invalid gives -1 and the bytes that one
 * U+FFFD stands for. */
size_t sg__text_next(const char *s, size_t n, int32_t *codepoint);
bool sg__text_is_space(int32_t codepoint);
/* The text with every maximal invalid part replaced by U+FFFD, appended to out. */
bool sg__text_replace(sg_context *g, const char *s, size_t n, sg__bytes *out);
/* The mapped text; *out is to be freed. */
bool sg__text_map(sg_context *g, const char *text, sg_form form, sg_case casing, char **out);
/* Raises the error of a text that is not UTF-8. */
bool sg__text_valid(sg_context *g, const char *text);

bool sg__text_tokenizer_valid(sg_context *g, const sg_tokenizer *k);
/* Appends the tokens of a text; tells how many in *count. */
bool sg__text_tokenize(sg_context *g, const sg_tokenizer *k, const char *text, sg__bytes *tokens,
                       size_t *count);
/* The same as sacrebleu's tokenizers have it. */
bool sg__text_bleu_tokenize(sg_context *g, sg_bleu_tokens kind, const char *text,
                            sg__bytes *tokens);

struct sg_vocabulary {
    sg_context *g; /* NULL in the inert one */
    sg_tokenizer tokenizer;
    sg__table table; /* entry i is id i + SG_RESERVED */
    sg__bytes json;  /* made when asked for */
};
sg_vocabulary *sg__text_vocabulary_new(sg_context *g, const sg_tokenizer *k); /* NULL on error */
sg_vocabulary *sg__text_vocabulary_nil(void);
bool sg__text_is_reserved(const char *token);
/* Appends the ids of a text as int32_t; `tokens` is scratch. */
bool sg__text_encode(sg_context *g, const sg_vocabulary *v, const char *text, sg__bytes *tokens,
                     sg__bytes *ids);

/* Random numbers of an epoch: the state that they are drawn from, one of 0 ... n - 1, all of them
 * in some order. */
uint64_t sg__text_epoch(uint64_t seed, int64_t epoch);
uint64_t sg__text_draw_below(uint64_t *state, uint64_t n);
void sg__text_shuffle(uint64_t *state, int n, int32_t *x); /* x[n] */

/* A whole file, uncompressed, without byte order mark: valid UTF-8 without NUL, in which every line
 * ends with LF. */
bool sg__text_read_bytes(sg_context *g, const char *path, sg__bytes *out); /* as they are */
bool sg__text_read_file(sg_context *g, const char *path, bool replace_invalid, sg__bytes *out);

#endif
