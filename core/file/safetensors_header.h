/*
 * The header of a safetensors file, taken apart but not yet compared with the file: what the JSON
 * says, as long as it is of the form that the format prescribes: every tensor with its three
 * fields, no name or key twice.
 */
#ifndef SG_FILE_SAFETENSORS_HEADER_H
#define SG_FILE_SAFETENSORS_HEADER_H

#include "core/file/file.h"
#include "core/file/safetensors.h"

/* What it says about a tensor */
typedef struct sg__file_entry {
    const char *name, *dtype;
    sg_shape shape;
    int64_t rank; /* may be more than the shape holds */
    int64_t begin, end;
    const sg__file_type *type; /* to be set by the reader */
} sg__file_entry;

typedef struct sg__file_header {
    int n, m;
    sg__file_entry *entries;
    sg__file_text *texts;
    char *json; /* with the strings that the others point to */
} sg__file_header;

/* `out` is all zeros before, and is to be cleaned by the caller also after an error. */
bool sg__file_header_scan(const sg__file_error *e, const unsigned char *json, size_t length,
                          sg__file_header *out);
void sg__file_header_clean(sg__file_header *h);

#endif
