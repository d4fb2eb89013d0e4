/*
 * What tests of files share: a folder of their own, the model that tests/oracle recorded, and files
 * put together by hand. Included by one file of a test program.
 */
#ifndef SG_TESTS_FILE_TEST_H
#define SG_TESTS_FILE_TEST_H

#include "core/file/file.h"
#include "core/file/safetensors.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char message[SG_MESSAGE];
static sg_status status;
static char folder[64];

static inline void enter_folder(void)
{
    strcpy(folder, "/tmp/sg-test-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL && chdir(folder) == 0 && chmod(folder, 0755) == 0);
}

static inline void leave_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert(system(command) == 0);
}

static inline void put_file(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(name, "wb");
    cr_assert(f != NULL && fwrite(bytes, 1, size, f) == size && fclose(f) == 0);
}

static inline unsigned char *get_file(const char *name, size_t *size)
{
    FILE *f = fopen(name, "rb");
    cr_assert(f != NULL);
    unsigned char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

/* Entries of a directory whose name contains `part`. */
static inline int count_entries(const char *directory, const char *part)
{
    DIR *d = opendir(directory);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        n += strstr(entry->d_name, part) != NULL;
    }
    closedir(d);
    return n;
}

/* The content of model_file, and another model of the same kind. */
static const double ends[] = {0.1, -0.5, 1e9}, other_ends[] = {1, 2, 3};
static const float numbers[] = {0, 1, 2, 3, 4, 5};
static const uint8_t mask[] = {0, 1, 2, 3, 4};
static const int32_t step[] = {-3};
static const sg__file_text texts[] = {
    {"config", "tab\t, line\n, \"quote\", \\ and \u00e9\U0001f600"},
    {"empty", ""},
    {"\x01", "\x7f"}};

static inline bool write_model(const char *name, const double *last)
{
    const sg__file_tensor tensors[] = {{"mask", SG_U8, SG_SHAPE(5), mask},
                                       {"enc.w", SG_F32, SG_SHAPE(2, 3), numbers},
                                       {"none", SG_F32, SG_SHAPE(0, 4), NULL},
                                       {"step", SG_I32, SG_SCALAR, step},
                                       {"größe \"\\\"", SG_F64, SG_SHAPE(1, 3), last}};
    return sg__safetensors_write(name, 5, tensors, 3, texts, message, &status);
}

static inline void check_model(const sg__safetensors *s, const double *last)
{
    static const char *const names[] = {"mask", "enc.w", "none", "step", "größe \"\\\""};
    static const sg_dtype types[] = {SG_U8, SG_F32, SG_F32, SG_I32, SG_F64};
    static const sg_shape shapes[] = {{1, {5}}, {2, {2, 3}}, {2, {0, 4}}, {0, {0}}, {2, {1, 3}}};
    const void *const data[] = {mask, numbers, "", step, last};
    static const size_t sizes[] = {5, 24, 0, 4, 24};
    cr_assert_not_null(s, "%s", message);
    cr_assert_eq(s->n, 5);
    for (int i = 0; i < 5; i++) {
        const sg__file_tensor *t = &s->tensors[i];
        cr_assert_str_eq(t->name, names[i]);
        cr_assert_eq(t->dtype, types[i], "%s", names[i]);
        cr_assert_eq(t->shape.rank, shapes[i].rank, "%s", names[i]);
        for (int k = 0; k < shapes[i].rank; k++) {
            cr_assert_eq(t->shape.dim[k], shapes[i].dim[k], "%s", names[i]);
        }
        cr_assert(memcmp(t->data, data[i], sizes[i]) == 0, "%s", names[i]);
    }
    cr_assert_eq(s->m, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_str_eq(s->texts[i].key, texts[i].key);
        cr_assert_str_eq(s->texts[i].value, texts[i].value);
    }
}

/* A file with a header of `length` bytes and `data` zeros behind it, to be freed. */
static inline unsigned char *frame(const char *json, size_t length, size_t data, size_t *size)
{
    uint64_t n = length;
    *size = 8 + length + data;
    unsigned char *bytes = calloc(1, *size);
    memcpy(bytes, &n, 8);
    memcpy(bytes + 8, json, length);
    return bytes;
}

#define META(text) "{\"__metadata__\":" text "}"

#endif
