/*
 * The kernels of rows.h for one float type: T is f32 or f64, EXP the exponential of its vectors,
 * KERNELS the name of the table. Included by rows.c once for each type, so it has no guard.
 *
 * A row is read in vectors, LANES elements at a time whatever a vector's size is; elements beyond
 * the row are read as a value that does not count.
 */
/* For each LANES elements of a row, from i on: where there are so many, `end` is a constant
 * distance away, and compilers leave the checks of `get` and `put` out. */
#define BLOCKS(i, n, ...)                                                                          \
    for (int64_t i = 0; i < (n); i += LANES) {                                                     \
        if (i + LANES <= (n)) {                                                                    \
            const int64_t end = i + LANES;                                                         \
            __VA_ARGS__                                                                            \
        } else {                                                                                   \
            const int64_t end = n;                                                                 \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define PART(p)     for (int p = 0; p < PARTS; p++)

#define JOIN_(a, b) a##_##b
#define JOIN(a, b)  JOIN_(a, b)
#define TYPED(f)    JOIN(f, T)
#define V           TYPED(v)
#define AT          JOIN(T, at)
#define WIDE        ((int64_t)(sizeof(V) / sizeof(T)))
#define PARTS       (LANES / (int)(sizeof(V) / sizeof(T)))

/* The vector at x[i], with `fill` from x[n] on. */
static inline V TYPED(get)(const AT *x, int64_t i, int64_t n, T fill)
{
    if (i + WIDE <= n)
        return TYPED(v_load)(x + i);
    if (i >= n)
        return TYPED(v_splat)(fill);
    static const T number[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    V inside = TYPED(v_load_part)(x + i, (size_t)(n - i));
    return v_select(v_less(TYPED(v_load)(number), TYPED(v_splat)((T)(n - i))), inside,
                    TYPED(v_splat)(fill));
}

static inline void TYPED(put)(AT *y, int64_t i, int64_t n, V v)
{
    if (i + WIDE <= n)
        TYPED(v_store)(y + i, v);
    else if (i < n)
        TYPED(v_store_part)(y + i, v, (size_t)(n - i));
}

static inline T TYPED(fold)(const V *part)
{
    T lane[LANES];
    memcpy(lane, part, sizeof lane);
    for (int l = 0; l < 8; l++)
        lane[l] += lane[l + 8];
    for (int l = 0; l < 4; l++)
        lane[l] += lane[l + 4];
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

/* ---- the largest and the least --------------------------------------------------------------- */

static inline T TYPED(extremum)(int64_t n, const AT *x, bool least)
{
    T none = least ? (T)INFINITY : -(T)INFINITY;
    V best[PARTS];
    for (int p = 0; p < PARTS; p++)
        best[p] = TYPED(v_splat)(none);
    /* The second operand is the result where one is NaN: a NaN in `best` stays there. */
    BLOCKS(
        i, n, PART(p) {
            V v = TYPED(get)(x, i + p * WIDE, end, none);
            V b = least ? v_min(v, best[p]) : v_max(v, best[p]);
            best[p] = v_select(v_same(v, v), b, v);
        })
    T lane[LANES];
    for (int p = 1; p < PARTS; p++) {
        V b = least ? v_min(best[p], best[0]) : v_max(best[p], best[0]);
        best[0] = v_select(v_same(best[p], best[p]), b, best[p]);
    }
    memcpy(lane, best, sizeof best[0]);
    for (int l = 1; l < WIDE; l++)
        if ((least ? lane[l] < lane[0] : lane[l] > lane[0]) || lane[l] != lane[l])
            lane[0] = lane[l];
    return lane[0] == lane[0] ? lane[0] : (T)NAN;
}

static void TYPED(max)(int64_t n, void *y, const void *x)
{
    *(AT *)y = TYPED(extremum)(n, x, false);
}

static void TYPED(min)(int64_t n, void *y, const void *x)
{
    *(AT *)y = TYPED(extremum)(n, x, true);
}

/* ---- exponentials ---------------------------------------------------------------------------- */

/* What to subtract before exponentials: the largest element, where that is a number. */
static inline T TYPED(base)(int64_t n, const AT *x)
{
    T top = TYPED(extremum)(n, x, false);
    return top == (T)INFINITY || top == -(T)INFINITY ? 0 : top;
}

/* The sum of e^(x - base), whose terms go to y unless it is NULL. */
static inline T TYPED(sum_exp)(int64_t n, AT *y, const AT *x, T base)
{
    V sum[PARTS] = {{0}};
    BLOCKS(
        i, n, PART(p) {
            V e = EXP(TYPED(get)(x, i + p * WIDE, end, -(T)INFINITY) - base);
            if (y)
                TYPED(put)(y, i + p * WIDE, end, e);
            sum[p] += e;
        })
    return TYPED(fold)(sum);
}

static void TYPED(logsumexp)(int64_t n, void *y, const void *x)
{
    T base = TYPED(base)(n, x);
    *(AT *)y = base + (T)log((f64)TYPED(sum_exp)(n, NULL, x, base));
}

/* The elements at i, where the mask is not 0; -inf elsewhere. */
static inline V TYPED(shown)(const AT *x, const uint8_t *mask, int64_t i, int64_t n)
{
    uint8_t rest[LANES] = {0};
    const uint8_t *m = mask + i;
    if (i + WIDE > n)
        m = memcpy(rest, m, (size_t)(i < n ? n - i : 0));
    return v_select(v_less(TYPED(v_splat)(0), TYPED(v_bytes)(m)), TYPED(get)(x, i, n, 0),
                    TYPED(v_splat)(-(T)INFINITY));
}

static void TYPED(softmax)(int64_t n, void *y, const void *x, const uint8_t *mask)
{
    AT *to = y;
    if (mask) {
        BLOCKS(
            i, n, PART(p) {
                int64_t at = i + p * WIDE;
                TYPED(put)(to, at, end, TYPED(shown)(x, mask, at, end));
            })
        x = y;
    }
    T sum = TYPED(sum_exp)(n, to, x, TYPED(base)(n, x));
    T factor = sum == 0 ? 0 : 1 / sum;
    BLOCKS(
        i, n, PART(p) {
            int64_t at = i + p * WIDE;
            TYPED(put)(to, at, end, TYPED(get)(to, at, end, 0) * factor);
        })
}

static void TYPED(log_softmax)(int64_t n, void *y, const void *x)
{
    T base = TYPED(base)(n, x), sum = TYPED(sum_exp)(n, NULL, x, base);
    T log_sum = sum == 0 ? 0 : (T)log((f64)sum);
    BLOCKS(
        i, n, PART(p) {
            int64_t at = i + p * WIDE;
            TYPED(put)(y, at, end, TYPED(get)(x, at, end, 0) - base - log_sum);
        })
}

/* ---- cross-entropy --------------------------------------------------------------------------- */

/* The sum of x - from, or of its squares. */
static inline T TYPED(moment)(int64_t n, const AT *x, T from, bool square)
{
    V sum[PARTS] = {{0}};
    BLOCKS(
        i, n, PART(p) {
            V d = TYPED(get)(x, i + p * WIDE, end, from) - from;
            sum[p] += square ? d * d : d;
        })
    return TYPED(fold)(sum);
}

/* With z = x - base: log(sum e^z) - (1 - rest) z[label] - rest mean(z) */
static void TYPED(cross_entropy)(int64_t n, void *y, const void *x, int64_t label, double rest)
{
    T base = TYPED(base)(n, x);
    T loss = (T)log((f64)TYPED(sum_exp)(n, NULL, x, base));
    loss -= (T)(1 - rest) * (((const AT *)x)[label] - base);
    if (rest != 0) /* else 0 · -inf would be NaN */
        loss -= (T)rest * (TYPED(moment)(n, x, base, false) / (T)n);
    *(AT *)y = loss;
}

/* (softmax(x) - share) g in one pass: log softmax(x) = x - x[label] + z, where z is that of the
 * label and comes from the loss. The label's element in one piece, as it may be near 1 - 1. */
static void TYPED(cross_entropy_grad)(int64_t n, void *y, const void *x, int64_t label, double rest,
                                      const void *g, const void *loss)
{
    AT *to = y;
    T from = ((const AT *)x)[label], z = -*(const AT *)loss;
    if (rest != 0)
        z -= (T)rest * (TYPED(moment)(n, x, from, false) / (T)n);
    if (!isfinite(z + from)) { /* the label has no chance, say */
        T base = TYPED(base)(n, x), log_sum = (T)log((f64)TYPED(sum_exp)(n, NULL, x, base));
        z = -log_sum;
        from = base;
    }
    T less = (T)(rest / (f64)n), of = *(const AT *)g;
    T own = (T)expm1((f64)(((const AT *)x)[label] - from + z)) + (T)rest - less;
    BLOCKS(
        i, n, PART(p) {
            int64_t at = i + p * WIDE;
            TYPED(put)(to, at, end, (EXP(TYPED(get)(x, at, end, from) - from + z) - less) * of);
        })
    to[label] = own * of;
}

/* ---- layer norm ------------------------------------------------------------------------------ */

static void TYPED(layer_norm)(int64_t n, void *y, const void *x, const void *gain, const void *bias,
                              double epsilon)
{
    T mean = TYPED(moment)(n, x, 0, false) / (T)n;
    T variance = TYPED(moment)(n, x, mean, true) / (T)n;
    T factor = (T)(1 / sqrt((f64)variance + epsilon));
    BLOCKS(
        i, n, PART(p) {
            int64_t at = i + p * WIDE;
            V v = (TYPED(get)(x, at, end, 0) - mean) * factor;
            TYPED(put)(y, at, end, v * TYPED(get)(gain, at, end, 0) + TYPED(get)(bias, at, end, 0));
        })
}

extern const sg__row_kernels KERNELS;
const sg__row_kernels KERNELS = {
    .max = TYPED(max),
    .min = TYPED(min),
    .logsumexp = TYPED(logsumexp),
    .softmax = TYPED(softmax),
    .log_softmax = TYPED(log_softmax),
    .cross_entropy = TYPED(cross_entropy),
    .cross_entropy_grad = TYPED(cross_entropy_grad),
    .layer_norm = TYPED(layer_norm),
};

#undef JOIN_
#undef JOIN
#undef TYPED
#undef V
#undef AT
#undef WIDE
#undef PARTS
#undef PART
#undef BLOCKS
#undef T
#undef EXP
#undef KERNELS
