/* The only code of xxHash that files need, compiled in from its header. */
#include "core/file/file.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void sg__checksum(int n, const sg__file_part *parts, char hex[SG__CHECKSUM + 1])
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (int i = 0; i < n; i++) {
        if (parts[i].size > 0) {
            XXH3_128bits_update(&state, parts[i].data, parts[i].size);
        }
    }
    XXH128_canonical_t sum;
    XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(&state));
    for (int i = 0; i < SG__CHECKSUM; i++) {
        int shift = i % 2 == 0 ? 4 : 0;
        hex[i] = "0123456789abcdef"[sum.digest[i / 2] >> shift & 15];
    }
    hex[SG__CHECKSUM] = '\0';
}
