/*
 * Any bytes as a safetensors file, for libFuzzer: nothing is read beyond them, all data are
 * aligned, and every header that is accepted is valid for jansson, too, with the same tensors and
 * texts.
 */
#include "core/file/file.h"
#include "core/file/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static volatile double sink; /* for what is computed only to read the data */

static double sum(const sg__file_tensor *t)
{
    double total = 0;
    size_t n = 0, element = sg__file_type_of(t->dtype)->size;
    CHECK(sg__file_bytes(&t->shape, element, &n));
    CHECK((uintptr_t)t->data % element == 0);
    for (size_t i = 0; i < n / element; i++) {
        switch (t->dtype) {
        case SG_F32:
            total += (double)((const float *)t->data)[i];
            break;
        case SG_F64:
            total += ((const double *)t->data)[i];
            break;
        case SG_I32:
            total += ((const int32_t *)t->data)[i];
            break;
        default:
            total += ((const uint8_t *)t->data)[i];
        }
    }
    return total;
}

static void compare(const uint8_t *bytes, const sg__safetensors *s)
{
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    json_t *root = json_loadb((const char *)bytes + 8, length, JSON_REJECT_DUPLICATES, NULL);
    CHECK(root != NULL);
    const json_t *metadata = json_object_get(root, SG__METADATA);
    CHECK(json_object_size(root) == (size_t)s->n + (metadata != NULL));
    for (int i = 0; i < s->n; i++) {
        const sg__file_tensor *t = &s->tensors[i];
        const json_t *shape = json_object_get(json_object_get(root, t->name), "shape");
        CHECK(json_is_array(shape) && json_array_size(shape) == (size_t)t->shape.rank);
        for (int k = 0; k < t->shape.rank; k++) {
            CHECK(json_integer_value(json_array_get(shape, (size_t)k)) == t->shape.dim[k]);
        }
    }
    for (int i = 0; i < s->m; i++) {
        const char *value = json_string_value(json_object_get(metadata, s->texts[i].key));
        CHECK(value != NULL && strcmp(value, s->texts[i].value) == 0);
    }
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char message[SG_MESSAGE];
    sg_status status;
    for (int as_model = 0; as_model < 2; as_model++) {
        sg__safetensors *s =
            sg__safetensors_parse("fuzz", bytes, size, as_model != 0, message, &status);
        CHECK((s != NULL) == (status == SG_OK));
        CHECK(s != NULL || (status == SG_BAD_FILE && strncmp(message, "fuzz: ", 6) == 0));
        if (s != NULL) {
            for (int i = 0; i < s->n; i++) {
                sink = sum(&s->tensors[i]);
            }
            compare(bytes, s);
            sg__safetensors_free(s);
        }
    }
    return 0;
}
