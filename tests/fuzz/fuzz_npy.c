/*
 * Any bytes as a .npy file, for libFuzzer: nothing is read beyond them, and what is accepted has as
 * many elements as its shape says.
 */
#include "core/file/file.h"
#include "core/file/npy.h"

#include <stdlib.h>
#include <string.h>

static volatile unsigned sink; /* for what is only read */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char message[SG_MESSAGE];
    sg_status status;
    sg_dtype dtype;
    sg_shape shape;
    unsigned char *data = sg__npy_parse("fuzz", bytes, size, &dtype, &shape, message, &status);
    if (data == NULL) {
        if (status != SG_BAD_FILE || strncmp(message, "fuzz: ", 6) != 0) {
            abort();
        }
        return 0;
    }
    size_t n;
    if (status != SG_OK || !sg__file_bytes(&shape, sg__file_type_of(dtype)->size, &n)) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        sink = data[i];
    }
    free(data);
    return 0;
}
