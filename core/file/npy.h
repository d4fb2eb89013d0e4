/*
 * NumPy's .npy files, one array each (NEP 1; versions 1.0, 2.0 and 3.0): little-endian, in C order,
 * of floats, integers or booleans. Types are widened as in safetensors.h.
 */
#ifndef SG_FILE_NPY_H
#define SG_FILE_NPY_H

#include "core/core.h"

/* The array's elements, to be freed; NULL on failure: then a message that starts with the path
 * (SG_MESSAGE bytes), and a status, SG_BAD_FILE if the file is at fault. */
void *sg__npy_read(const char *path, sg_dtype *dtype, sg_shape *shape, char *message,
                   sg_status *status);
/* The same from memory; `path` is for messages only. */
void *sg__npy_parse(const char *path, const void *bytes, size_t size, sg_dtype *dtype,
                    sg_shape *shape, char *message, sg_status *status);
/* Version 1.0; u8 is written as such, so booleans do not come back as booleans. Crash-safe: see
 * sg__file_replace. */
bool sg__npy_write(const char *path, sg_dtype dtype, sg_shape shape, const void *data,
                   char *message, sg_status *status);

#endif
