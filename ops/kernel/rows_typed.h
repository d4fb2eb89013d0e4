/*
 * The kernels of rows.h for one float type: T is f32 or f64, EXP the exponential of its vectors,
 * KERNELS the name of the table. Included by rows.c once for each type, so it has no guard.
 *
 * A row is read in vectors, LANES elements at a time whatever a vector's size is; elements beyond
 * the row are read as a value that does not count.
 */
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
    for (int half = LANES / 2; half; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

/* ---- the largest and the least ----------------------------------------------------------------
 */

static inline T TYPED(extremum)(int64_t n, const AT *x, bool least)
{
    T none = least ? (T)INFINITY : -(T)INFINITY;
    V best[PARTS];
    for (int p = 0; p < PARTS; p++)
        best[p] = TYPED(v_splat)(none);
    for (int64_t i = 0; i < n; i += LANES)
        for (int p = 0; p < PARTS; p++) {
            V v = TYPED(get)(x, i + p * WIDE, n, none);
            /* The second operand is the result where one is NaN: a NaN in `best` stays there. */
            V b = least ? v_min(v, best[p]) : v_max(v, best[p]);
            best[p] = v_select(v_same(v, v), b, v);
        }
    T lane[LANES];
    memcpy(lane, best, sizeof lane);
    int nan = 0;
    for (int l = 0; l < LANES; l++)
        nan |= lane[l] != lane[l];
    for (int half = LANES / 2; half; half /= 2)
        for (int l = 0; l < half; l++) {
            T a = lane[l], b = lane[l + half];
            lane[l] = least ? (b < a ? b : a) : (b > a ? b : a);
        }
    return nan ? (T)NAN : lane[0];
}

static void TYPED(max)(int64_t n, void *y, const void *x)
{
    *(AT *)y = TYPED(extremum)(n, x, false);
}

static void TYPED(min)(int64_t n, void *y, const void *x)
{
    *(AT *)y = TYPED(extremum)(n, x, true);
}

/* ---- exponentials -----------------------------------------------------------------------------
 */

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
    for (int64_t i = 0; i < n; i += LANES)
        for (int p = 0; p < PARTS; p++) {
            /* What is too small for the type is not computed: results that underflow are slow. */
            V d = TYPED(get)(x, i + p * WIDE, n, -(T)INFINITY) - base;
            V none = TYPED(v_splat)(0), low = TYPED(v_splat)(sizeof(T) == 4 ? -104 : -746);
            V e = v_select(v_less(d, low), none, EXP(v_select(v_less(d, low), none, d)));
            if (y)
                TYPED(put)(y, i + p * WIDE, n, e);
            sum[p] += e;
        }
    return TYPED(fold)(sum);
}

static void TYPED(logsumexp)(int64_t n, void *y, const void *x)
{
    T base = TYPED(base)(n, x);
    *(AT *)y = base + (T)log((f64)TYPED(sum_exp)(n, NULL, x, base));
}

/* LANES elements, or fewer, with -inf where the mask is 0: by copies, which no store can change. */
static inline void TYPED(hide)(AT *y, const AT *x, const uint8_t *mask, size_t n)
{
    T v[LANES] = {0};
    uint8_t kept[LANES] = {0};
    memcpy(v, x, n * sizeof *v);
    memcpy(kept, mask, n);
    for (int l = 0; l < LANES; l++)
        v[l] = kept[l] ? v[l] : -(T)INFINITY;
    memcpy(y, v, n * sizeof *v);
}

static void TYPED(softmax)(int64_t n, void *y, const void *x, const uint8_t *mask)
{
    AT *to = y;
    if (mask) {
        int64_t i = 0;
        for (; i + LANES <= n; i += LANES)
            TYPED(hide)(to + i, (const AT *)x + i, mask + i, LANES);
        if (i < n)
            TYPED(hide)(to + i, (const AT *)x + i, mask + i, (size_t)(n - i));
        x = y;
    }
    T sum = TYPED(sum_exp)(n, to, x, TYPED(base)(n, x));
    T factor = sum == 0 ? 0 : 1 / sum;
    for (int64_t i = 0; i < n; i += WIDE)
        TYPED(put)(to, i, n, TYPED(get)(to, i, n, 0) * factor);
}

static void TYPED(log_softmax)(int64_t n, void *y, const void *x)
{
    T base = TYPED(base)(n, x), sum = TYPED(sum_exp)(n, NULL, x, base);
    T log_sum = sum == 0 ? 0 : (T)log((f64)sum);
    for (int64_t i = 0; i < n; i += WIDE)
        TYPED(put)(y, i, n, TYPED(get)(x, i, n, 0) - base - log_sum);
}

/* ---- cross-entropy ----------------------------------------------------------------------------
 */

/* With z = x - base: log(sum e^z) - (1 - rest) z[label] - rest mean(z) */
static void TYPED(cross_entropy)(int64_t n, void *y, const void *x, int64_t label, double rest)
{
    T base = TYPED(base)(n, x);
    T loss = (T)log((f64)TYPED(sum_exp)(n, NULL, x, base));
    loss -= (T)(1 - rest) * (((const AT *)x)[label] - base);
    if (rest != 0) { /* else 0 · -inf would be NaN */
        V sum[PARTS] = {{0}};
        for (int64_t i = 0; i < n; i += LANES)
            for (int p = 0; p < PARTS; p++)
                sum[p] += TYPED(get)(x, i + p * WIDE, n, base) - base;
        loss -= (T)rest * (TYPED(fold)(sum) / (T)n);
    }
    *(AT *)y = loss;
}

/* (softmax(x) - share) g; the label's element in one piece, since it may be near 1 - 1 */
static void TYPED(cross_entropy_grad)(int64_t n, void *y, const void *x, int64_t label, double rest,
                                      const void *g)
{
    AT *to = y;
    T factor = 1 / TYPED(sum_exp)(n, to, x, TYPED(base)(n, x));
    T less = (T)(rest / (f64)n), of = *(const AT *)g;
    T own = to[label] * factor - (T)(1 - rest) - less;
    for (int64_t i = 0; i < n; i += WIDE)
        TYPED(put)(to, i, n, (TYPED(get)(to, i, n, 0) * factor - less) * of);
    to[label] = own * of;
}

/* ---- layer norm -------------------------------------------------------------------------------
 */

/* The sum of x - from, or of its squares. */
static inline T TYPED(moment)(int64_t n, const AT *x, T from, bool square)
{
    V sum[PARTS] = {{0}};
    for (int64_t i = 0; i < n; i += LANES)
        for (int p = 0; p < PARTS; p++) {
            V d = TYPED(get)(x, i + p * WIDE, n, from) - from;
            sum[p] += square ? d * d : d;
        }
    return TYPED(fold)(sum);
}

static void TYPED(layer_norm)(int64_t n, void *y, const void *x, const void *gain, const void *bias,
                              double epsilon)
{
    T mean = TYPED(moment)(n, x, 0, false) / (T)n;
    T variance = TYPED(moment)(n, x, mean, true) / (T)n;
    T factor = (T)(1 / sqrt((f64)variance + epsilon));
    for (int64_t i = 0; i < n; i += WIDE) {
        V v = (TYPED(get)(x, i, n, 0) - mean) * factor;
        TYPED(put)(y, i, n, v * TYPED(get)(gain, i, n, 0) + TYPED(get)(bias, i, n, 0));
    }
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
#undef T
#undef EXP
#undef KERNELS
