/*
 * What the file formats share: error messages, element types, reading a file as a whole, replacing
 * a file as a whole, and the checksum. Nothing here knows a context; the formats' headers are
 * safetensors.h and npy.h.
 *
 * Numbers in files are little-endian and are copied as they are, so the machine must be, too.
 */
#ifndef SG_FILE_FILE_H
#define SG_FILE_FILE_H

#include "core/core.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are little-endian, and so must be the machine"
#endif
_Static_assert(SIZE_MAX >= INT64_MAX, "a file's size must fit into size_t");

/* ---- errors ------------------------------------------------------------------------------- */

/* Where an error goes: every message starts with the path. */
typedef struct sg__file_error {
    const char *path;
    char *message; /* SG_MESSAGE bytes */
    sg_status *status;
} sg__file_error;

/* The start of every public entry: no error yet. */
sg__file_error sg__file_begin(const char *path, char *message, sg_status *status);
/* Writes the message, without control characters that a file may have put into it; returns false.
 */
bool sg__file_fail(const sg__file_error *e, sg_status s, const char *format, ...) SG_PRINTF(3, 4);
bool sg__file_no_memory(const sg__file_error *e, size_t bytes);
/* "cannot be <done>: <what errno means>". */
bool sg__file_errno(const sg__file_error *e, const char *done, int error);

/* ---- names -------------------------------------------------------------------------------- */

/* A name from a file, cut to a length that leaves room for the rest of a message. */
typedef struct sg__shown {
    char s[72];
} sg__shown;
sg__shown sg__show(const char *name);

/* The bytes of the UTF-8 sequence at the start of s, which is ended by NUL; 0 if it is none. */
int sg__utf8(const char *s);
/* Whether a tensor may have this name: UTF-8, and not what the format reserves. */
bool sg__savable(const char *name);

/* Sorts the names; an error if one is there twice. */
bool sg__file_unique(const sg__file_error *e, sg_status s, const char *what, size_t n,
                     const char **names);

/* ---- whole files -------------------------------------------------------------------------- */

typedef struct sg__file_part {
    const void *data;
    size_t size;
} sg__file_part;

/* Looks at the first bytes of a file of `size` bytes, so that one of another kind is refused before
 * it is read. */
typedef bool sg__file_check(const sg__file_error *e, const unsigned char *head, size_t head_size,
                            uint64_t size);

/* A regular file's bytes, to be freed; NULL after an error. It is read, not mapped: a mapped file
 * that somebody cuts short kills the process. */
void *sg__file_load(const sg__file_error *e, sg__file_check *check, size_t *size);

/* Makes the parts, one after another, the content of a file. At every moment, also if the process
 * or the machine dies, the path means either the old file or the new one. Permissions of an old
 * file are kept. A symbolic link stays, and the file it leads to is replaced. */
bool sg__file_replace(const sg__file_error *e, int n, const sg__file_part *parts);

enum { SG__CHECKSUM = 32 };
/* XXH3-128 of the parts one after another, in hexadecimal digits as xxhsum -H2 writes them. */
void sg__checksum(int n, const sg__file_part *parts, char hex[SG__CHECKSUM + 1]);

/* ---- element types ------------------------------------------------------------------------ */

typedef struct sg__file_type {
    const char *name;  /* in a safetensors header */
    const char *descr; /* in a .npy header; NULL if it has none */
    sg_dtype dtype;    /* what it is read as */
    size_t size;       /* bytes of an element in the file */
    /* Copies n elements from any address; returns how many fitted before the first that does not.
     * NULL: the bytes are the same in memory. */
    size_t (*widen)(size_t n, const unsigned char *in, void *out);
} sg__file_type;

/* NULL if it is not supported; by the type in memory, there is always one. */
const sg__file_type *sg__file_type_named(const char *name);
const sg__file_type *sg__file_type_descr(const char *descr);
const sg__file_type *sg__file_type_of(sg_dtype dtype);

/* Bytes of an array; false where any product of dims overflows, also if another dim is 0. */
bool sg__file_bytes(const sg_shape *shape, size_t element, size_t *bytes);
/* For writers: is this an array at all? `what` names it in messages. */
bool sg__file_array(const sg__file_error *e, const char *what, sg_dtype dtype,
                    const sg_shape *shape, const void *data, size_t *bytes);

#endif
