/*
 * Safetensors files: 8 bytes with the header's length, a JSON header that gives every tensor a
 * type, a shape and its place, then the tensors' bytes
 * (https://github.com/huggingface/safetensors).
 *
 * The reader takes every file that the format allows and that it can represent without loss, and
 * nothing else: no duplicate names, no byte of data that belongs to no tensor or to two.
 *
 * A model is such a file with two texts of ours in its metadata: "seqgrad.format", the number 1,
 * and "seqgrad.checksum", which must come first in the header: the XXH3-128 of all bytes of the
 * file, its own 32 digits taken as zeros. So no byte of a model can change without being noticed.
 */
#ifndef SG_FILE_SAFETENSORS_H
#define SG_FILE_SAFETENSORS_H

#include "core/core.h"

#define SG__CHECKSUM_KEY "seqgrad.checksum"
#define SG__FORMAT_KEY   "seqgrad.format"
#define SG__METADATA     "__metadata__"
#define SG__FORMAT       "1"
/* How the JSON of a model starts; the 32 digits follow. */
#define SG__MODEL_START "{\"" SG__METADATA "\":{\"" SG__CHECKSUM_KEY "\":\""

enum { SG__HEADER_MAX = 100000000, SG__HEADER_START = 8 /* bytes of its length */ };

typedef struct sg__file_tensor {
    const char *name; /* UTF-8; not "__metadata__" */
    sg_dtype dtype;
    sg_shape shape;
    const void *data; /* row-major, aligned for its type */
} sg__file_tensor;

typedef struct sg__file_text {
    const char *key, *value; /* UTF-8 */
} sg__file_text;

/* Writes a model, whose header keeps the order of tensors and texts; equal content gives equal
 * bytes. The two keys above are refused as texts. Crash-safe: see sg__file_replace. On failure:
 * false, a message that starts with the path (SG_MESSAGE bytes), and a status, SG_IO if the system
 * refused. */
bool sg__safetensors_write(const char *path, int n, const sg__file_tensor *tensors, int m,
                           const sg__file_text *texts, char *message, sg_status *status);

/* What a file holds, in the order of its header; our two texts are left out. Types are widened:
 * F16 and BF16 to f32; I8, I16, U16 to i32; I64 to i32 if all values fit; BOOL to u8. */
typedef struct sg__safetensors {
    int n, m;
    sg__file_tensor *tensors;
    sg__file_text *texts;
    void *file, *header, *widened; /* what they point into */
} sg__safetensors;

/* NULL on failure, message and status as above: SG_BAD_FILE if the file is at fault. `as_model`
 * asks for our format number and a checksum that matches. */
sg__safetensors *sg__safetensors_read(const char *path, bool as_model, char *message,
                                      sg_status *status);
/* The same from memory, which must live as long as the result; `path` is for messages only. */
sg__safetensors *sg__safetensors_parse(const char *path, const void *bytes, size_t size,
                                       bool as_model, char *message, sg_status *status);
void sg__safetensors_free(sg__safetensors *s); /* NULL is fine */

#endif
