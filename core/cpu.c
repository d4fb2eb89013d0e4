/* Which instruction set to compute with: by the CPU's features, never by its family. */
#include "core/internal.h"

static const char *const names[SG_ISAS] = {"generic", "avx2", "avx512"};

static bool has(int isa)
{
#ifdef SG_X86
    if (isa == SG_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == SG_AVX512)
        return has(SG_AVX2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return isa == SG_GENERIC;
}

int sg__isa_best(void)
{
    int isa = SG_ISAS - 1;
    while (!has(isa))
        isa--;
    return isa;
}

int sg__isa_named(const char *name)
{
    for (int isa = 0; isa < SG_ISAS; isa++)
        if (strcmp(name, names[isa]) == 0)
            return has(isa) ? isa : -1;
    return -1;
}

const char *sg__isa_name(int isa)
{
    return names[isa];
}
