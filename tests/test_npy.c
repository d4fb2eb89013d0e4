/* .npy files: what NumPy writes is read, anything else is refused by name, what we write comes
 * back. */
#define _GNU_SOURCE
#include "core/file/npy.h"

#include "tests/fault.h"
#include "tests/oracle/npy_files.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char message[SG_MESSAGE];
static sg_status status;
static char folder[64];

static void enter_folder(void)
{
    strcpy(folder, "/tmp/sg-test-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL && chdir(folder) == 0);
}

static void leave_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert(system(command) == 0);
}

static double value(sg_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case SG_F32:
        return ((const float *)data)[i];
    case SG_F64:
        return ((const double *)data)[i];
    case SG_I32:
        return ((const int32_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

static void check_array(const struct recorded *r, sg_dtype dtype, sg_shape shape, const void *data)
{
    cr_assert_eq(dtype, r->dtype, "%s", r->name);
    cr_assert_eq(shape.rank, r->shape.rank, "%s", r->name);
    int64_t n = 1;
    for (int i = 0; i < shape.rank; i++) {
        cr_assert_eq(shape.dim[i], r->shape.dim[i], "%s", r->name);
        n *= shape.dim[i];
    }
    for (int64_t i = 0; i < n; i++) {
        double x = value(dtype, data, i), want = r->values[i];
        cr_assert(memcmp(&x, &want, sizeof x) == 0 || (isnan(x) && isnan(want)), "%s: %g, not %g",
                  r->name, x, want);
    }
}

Test(npy, reads_what_numpy_writes)
{
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        const struct recorded *r = &recorded[i];
        sg_dtype dtype;
        sg_shape shape;
        void *data = sg__npy_parse("a.npy", r->file, r->size, &dtype, &shape, message, &status);
        cr_assert_not_null(data, "%s: %s", r->name, message);
        check_array(r, dtype, shape, data);
        free(data);
    }
}

Test(npy, reads_back_what_it_writes, .init = enter_folder, .fini = leave_folder)
{
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        const struct recorded *r = &recorded[i];
        sg_dtype dtype;
        sg_shape shape;
        void *data = sg__npy_parse("a.npy", r->file, r->size, &dtype, &shape, message, &status);
        cr_assert(sg__npy_write("b.npy", dtype, shape, data, message, &status), "%s", message);
        free(data);
        data = sg__npy_read("b.npy", &dtype, &shape, message, &status);
        cr_assert_not_null(data, "%s: %s", r->name, message);
        check_array(r, dtype, shape, data);
        free(data);
    }
}

/* NumPy pads small headers to the same length, so whole files can be compared. */
Test(npy, writes_what_numpy_writes, .init = enter_folder, .fini = leave_folder)
{
    int same = 0;
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        const struct recorded *r = &recorded[i];
        bool ours = strchr("48u", r->name[2]) != NULL && strncmp(r->name, "<i8", 3) != 0;
        if (!ours || r->file[6] != 1) {
            continue;
        }
        sg_dtype dtype;
        sg_shape shape;
        unsigned char bytes[1024];
        void *data = sg__npy_parse("a.npy", r->file, r->size, &dtype, &shape, message, &status);
        cr_assert(sg__npy_write("b.npy", dtype, shape, data, message, &status), "%s", message);
        free(data);
        FILE *f = fopen("b.npy", "rb");
        cr_assert_eq(fread(bytes, 1, sizeof bytes, f), r->size, "%s", r->name);
        cr_assert(memcmp(bytes, r->file, r->size) == 0, "%s", r->name);
        fclose(f);
        same++;
    }
    cr_assert_geq(same, 6);
}

static void refused(const void *bytes, size_t size, const char *wanted)
{
    sg_dtype dtype;
    sg_shape shape;
    void *data = sg__npy_parse("bad.npy", bytes, size, &dtype, &shape, message, &status);
    cr_assert_null(data, "%s", wanted);
    cr_assert_eq(status, SG_BAD_FILE, "%s", wanted);
    cr_assert(strncmp(message, "bad.npy: ", 9) == 0 && strcmp(message + 9, wanted) == 0,
              "says: %s\n not: %s", message, wanted);
}

Test(npy, refuses_other_arrays)
{
    refused(npy_fortran, sizeof npy_fortran, "is in Fortran order, which is not supported");
    refused(npy_big_endian, sizeof npy_big_endian,
            "has elements of type '>f4', which is not supported");
    refused(npy_text, sizeof npy_text, "has elements of type '<U2', which is not supported");
    refused(npy_structured, sizeof npy_structured, "header byte 10: a string expected");
    refused(npy_too_large, sizeof npy_too_large, "element 1 of type '<i8' does not fit into '<i4'");
    refused(npy_rank_9, sizeof npy_rank_9, "has rank 9, at most 8 are supported");
}

/* A file of version 1.0 with a header that ends like numpy's. */
static size_t frame(unsigned char *bytes, const char *header, size_t data)
{
    size_t n = strlen(header);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (unsigned char)n;
    bytes[9] = 0;
    memcpy(bytes + 10, header, n);
    memset(bytes + 10 + n, 0, data);
    return 10 + n + data;
}

#define DICT(shape) "{'descr': '<f4', 'fortran_order': False, 'shape': " shape ", }\n"

Test(npy, refuses_malformed_headers)
{
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } rows[] = {
        {"", 4, "header byte 0: '{' expected"},
        {"\n", 4, "header byte 0: '{' expected"},
        {"{", 4, "header byte 1: a string expected"},
        {"{}\n", 4, "header has no 'descr'"},
        {"{,}\n", 4, "header byte 1: a string expected"},
        {"{'descr'", 4, "header byte 8: ':' expected"},
        {"{'descr': '<f4', }\n", 4, "header has no 'fortran_order'"},
        {"{'descr': '<f4', 'fortran_order': False, }\n", 4, "header has no 'shape'"},
        {"{'descr': '<f4', 'descr': '<f4', }\n", 4, "header has twice the key 'descr'"},
        {"{'order': 'C', }\n", 4, "header has an unknown key 'order'"},
        {"{'descr': '<f4\", }\n", 4, "header byte 18: a plain, short string expected"},
        {"{'descr': '<f4\\', }\n", 4, "header byte 14: a plain, short string expected"},
        {"{'descr': '0123456789012345678901234567890123', }\n", 4,
         "header byte 43: a plain, short string expected"},
        {"{'descr': '|O', }\n", 4, "has elements of type '|O', which is not supported"},
        {"{'descr': '', }\n", 4, "has elements of type '', which is not supported"},
        {"{'fortran_order': 0, }\n", 4, "header byte 18: True or False expected"},
        {"{'fortran_order': 'False', }\n", 4, "header byte 18: True or False expected"},
        {"{'fortran_order': Fals", 4, "header byte 18: True or False expected"},
        {"{'fortran_order': Falsey, }\n", 4, "header byte 23: '}' expected"},
        {DICT("1"), 4, "header byte 50: '(' expected"},
        {DICT("(1)"), 4, "header byte 52: ',' expected"},
        {DICT("(1 1)"), 4, "header byte 53: ',' expected"},
        {DICT("(1, 1 1)"), 4, "header byte 56: ')' expected"},
        {DICT("(,)"), 4, "header byte 51: a whole number, 0 or more, expected"},
        {DICT("(-1,)"), 4, "header byte 51: a whole number, 0 or more, expected"},
        {DICT("(01,)"), 4, "header byte 53: a whole number, 0 or more, expected"},
        {DICT("(1L,)"), 4, "header byte 52: ',' expected"},
        {DICT("(1.0,)"), 4, "header byte 52: ',' expected"},
        {DICT("(9223372036854775808,)"), 4, "header byte 69: the number is too large"},
        {DICT("(9223372036854775807, 2)"), 4, "has an impossible shape"},
        {DICT("(2,)"), 4, "has 4 bytes of data, but its type and shape need 8"},
        {DICT("()"), 5, "has 5 bytes of data, but its type and shape need 4"},
        {DICT("()"), 3, "has 3 bytes of data, but its type and shape need 4"},
        {DICT("()") "\n", 4, "header byte 56: only spaces and one end of line may follow"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4,
         "header byte 53: only spaces and one end of line may follow"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}x\n", 4,
         "header byte 53: only spaces and one end of line may follow"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }\n", 4,
         "is in Fortran order, which is not supported"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char bytes[512];
        refused(bytes, frame(bytes, rows[i].header, rows[i].data), rows[i].message);
    }
}

Test(npy, refuses_impossible_starts)
{
    refused("", 0, "is no .npy file");
    refused("\x93NUMP", 5, "is no .npy file");
    refused("\x93NUMPX\x01\0\0\0\0\0", 12, "is no .npy file");
    refused("\x93NUMPY\x01\0\0\0\0", 11, "is cut short: 11 bytes hold no header");
    refused("\x93NUMPY\x00\0\0\0\0\0", 12, "has .npy version 0.0, which is not supported");
    refused("\x93NUMPY\x04\0\0\0\0\0", 12, "has .npy version 4.0, which is not supported");
    refused("\x93NUMPY\x01\x01\0\0\0\0", 12, "has .npy version 1.1, which is not supported");
    refused("\x93NUMPY\x01\0\x03\0{}", 12, "is cut short: 2 of 3 bytes of the header");
    refused("\x93NUMPY\x02\0\xff\xff\xff\xff", 12,
            "is cut short: 0 of 4294967295 bytes of the"
            " header");
}

Test(npy, takes_other_spacing)
{
    static const char *const headers[] = {
        "{\"shape\":(),'fortran_order':True,'descr':\"<f4\"}\n",
        "{ 'shape' : ( 1 , ) , 'fortran_order' : True , 'descr' : '<f4' , }    \n",
        "{'descr':'<f4','fortran_order':False,'shape':(1,1,1,1,1,1,1,1,)}\n",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        unsigned char bytes[512];
        sg_dtype dtype;
        sg_shape shape;
        size_t size = frame(bytes, headers[i], 4);
        float *data = sg__npy_parse("a.npy", bytes, size, &dtype, &shape, message, &status);
        cr_assert_not_null(data, "%s: %s", headers[i], message);
        cr_assert(dtype == SG_F32 && data[0] == 0);
        free(data);
    }
}

Test(npy, refuses_every_other_length)
{
    unsigned char bytes[sizeof npy_0 + 1] = {0};
    memcpy(bytes, npy_0, sizeof npy_0);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        sg_dtype dtype;
        sg_shape shape;
        void *data = sg__npy_parse("a.npy", bytes, size, &dtype, &shape, message, &status);
        cr_assert_eq(data != NULL, size == sizeof npy_0, "%zu bytes", size);
        free(data);
    }
}

Test(npy, reports_what_cannot_be_read_or_written, .init = enter_folder, .fini = leave_folder)
{
    sg_dtype dtype;
    sg_shape shape;
    cr_assert_null(sg__npy_read("a.npy", &dtype, &shape, message, &status));
    cr_assert_eq(status, SG_IO);
    cr_assert_str_eq(message, "a.npy: cannot be read: No such file or directory");
    cr_assert_null(sg__npy_read(".", &dtype, &shape, message, &status));
    cr_assert_eq(status, SG_BAD_FILE);
    cr_assert_str_eq(message, ".: is a directory");
    cr_assert(!sg__npy_write("x/a.npy", SG_F32, SG_SHAPE(1), npy_0, message, &status));
    cr_assert_eq(status, SG_IO);
    cr_assert_str_eq(message, "x/a.npy: cannot be written: No such file or directory");
    cr_assert(!sg__npy_write("a.npy", SG_F32, SG_SHAPE(-1), npy_0, message, &status));
    cr_assert_eq(status, SG_BAD_SHAPE);
    cr_assert_str_eq(message, "a.npy: the array has an impossible shape");
    cr_assert(!sg__npy_write("a.npy", SG_DTYPES, SG_SHAPE(1), npy_0, message, &status));
    cr_assert_eq(status, SG_BAD_DTYPE);
    cr_assert_str_eq(message, "a.npy: the array has no type");
    cr_assert(!sg__npy_write("a.npy", SG_F32, SG_SHAPE(1), NULL, message, &status));
    cr_assert_eq(status, SG_BAD_ARGUMENT);
    cr_assert_str_eq(message, "a.npy: the array has no data");
}

#ifndef FAULT_NO_MALLOC

Test(npy, survives_lack_of_memory, .init = enter_folder, .fini = leave_folder)
{
    if (!fault_malloc_works()) {
        cr_skip_test("malloc cannot be replaced here");
    }
    cr_assert(sg__npy_write("a.npy", SG_U8, SG_SHAPE(4), npy_0, message, &status), "%s", message);
    bool ok = false;
    long i = 0;
    while (!ok) {
        sg_dtype dtype;
        sg_shape shape;
        memset(&fault_malloc, 0, sizeof fault_malloc);
        fault_malloc.fail = ++i;
        fault_malloc.on = true;
        void *data = sg__npy_read("a.npy", &dtype, &shape, message, &status);
        ok = data != NULL && sg__npy_write("b.npy", dtype, shape, data, message, &status);
        free(data);
        fault_malloc.on = false;
        cr_assert_eq(fault_malloc.live, 0, "allocation %ld", i);
        cr_assert_eq(status, ok ? SG_OK : SG_NO_MEMORY, "allocation %ld: %s", i, message);
    }
    cr_assert_geq(i, 4);
}

#endif
