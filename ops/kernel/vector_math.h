/*
 * Functions of f32 vectors: exp expm1 log log1p tanh sigmoid erf softplus.
 *
 * Each reduces its argument to a small interval and evaluates a polynomial there: minimax in the
 * relative error of the result (Remez), with coefficients rounded to f32. There is no table and no
 * branch, so all lanes cost the same. Arguments are clamped first; the clamps are written so that
 * NaN passes (see v_max). Subnormal numbers are right on both sides.
 *
 * Worst errors over all 2^32 inputs, in units of the last place, without and with FMA (AVX2 and
 * AVX-512 give the same), as tests/ulp.c measures them:
 *
 *     exp 1.18 0.90    expm1 1.70 1.59    log 0.91 0.93       log1p 1.54 1.46
 *     tanh 1.85 1.72   sigmoid 1.79 1.67  softplus 1.87 1.83  erf 1.96 1.73
 */
#ifndef SG_VECTOR_MATH_H
#define SG_VECTOR_MATH_H

#include "ops/kernel/vector.h"

/* ln 2 in two parts; the first has 15 bits, so that its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW  0x1.7f7d1cp-20f
#define LOG2_E   0x1.715476p0f

/* q x + c */
static inline v_f32 horner(v_f32 q, v_f32 x, f32 c)
{
    return v_fma(q, x, v_splat_f32(c));
}

/* x = n ln 2 + r with integral n, |r| <= ln 2 / 2; returns n. */
static inline v_f32 reduce(v_f32 x, v_f32 *r)
{
    v_f32 n = v_fma(x, v_splat_f32(LOG2_E), v_splat_f32(0x1.8p23f)) - 0x1.8p23f;
    *r = v_fma(n, v_splat_f32(-LN2_HIGH), x);
    *r = v_fma(n, v_splat_f32(-LN2_LOW), *r);
    return n;
}

/* h in e^r = 1 + h r, for |r| <= ln 2 / 2 */
static inline v_f32 exp_slope(v_f32 r)
{
    v_f32 q = v_splat_f32(0x1.6a1a28p-10f);
    q = horner(q, r, 0x1.123fb8p-7f);
    q = horner(q, r, 0x1.5558dep-5f);
    q = horner(q, r, 0x1.55548ap-3f);
    q = horner(q, r, 0x1.fffffcp-2f);
    return horner(q, r, 1);
}

/* e^x = 2^n e^r, for x <= 89 or NaN: below -104 all is 0. */
static inline v_f32 exp_below(v_f32 x)
{
    v_f32 r, n = reduce(v_max(v_splat_f32(-105), x), &r);
    return v_scale(horner(exp_slope(r), r, 1), n);
}

static inline v_f32 v_exp(v_f32 x)
{
    return exp_below(v_min(v_splat_f32(89), x));
}

/* e^x where that is a normal number, else 0: what is not costs more than what it adds to 1. */
static inline v_f32 v_exp_normal(v_f32 x)
{
    v_f32 r, n = reduce(v_min(v_splat_f32(89), x), &r);
    v_f32 y = horner(exp_slope(r), r, 1) * v_power_of_two(n);
    return v_select(v_less(x, v_splat_f32(-87.33f)), v_splat_f32(0), y);
}

/* q in e^r = 1 + r + q r², for |r| <= ln 2 / 2; its error is small beside e^r - 1. */
static inline v_f32 expm1_term(v_f32 r)
{
    v_f32 q = v_splat_f32(0x1.6d9f02p-10f);
    q = horner(q, r, 0x1.122d86p-7f);
    q = horner(q, r, 0x1.5554ap-5f);
    q = horner(q, r, 0x1.5554a8p-3f);
    return horner(q, r, 0.5f);
}

/* 2^n (e^r - 1) + (2^n - 1), halved on the way, since 2^128 is no number. */
static inline v_f32 v_expm1(v_f32 x)
{
    v_f32 r, n = reduce(v_min(v_splat_f32(89), v_max(v_splat_f32(-18), x)), &r);
    v_f32 p = v_fma(r * r, expm1_term(r), r), half = v_power_of_two(n - 1);
    v_f32 y = v_fma(half, p, half - 0.5f) * 2;
    return v_copysign(v_select(v_less(v_abs(x), v_splat_f32(0.25f)), p, y), x);
}

/* x + x³ p(x²) below 0.55; above it 1 - 2 / (e^2x + 1), where e^2x = 2^n 2^f. Beyond 9.1 it is 1.
 */
static inline v_f32 v_tanh(v_f32 x)
{
    v_f32 a = v_min(v_splat_f32(9.1f), v_abs(x)), z = a * a;
    v_f32 p = v_splat_f32(0x1.0d51aep-6f);
    p = horner(p, z, -0x1.af7d5ap-5f);
    p = horner(p, z, 0x1.10cefep-3f);
    p = horner(p, z, -0x1.555452p-2f);
    v_f32 t = v_fma(a, v_splat_f32(2 * LOG2_E), v_splat_f32(0x1.8p23f + 127));
    v_f32 n = t - (0x1.8p23f + 127), power = (v_f32)((v_u32)t << 23);
    v_f32 f = v_fma(a, v_splat_f32(2 * LOG2_E), -n);
    v_f32 q = v_splat_f32(0x1.47171ap-13f);
    q = horner(q, f, 0x1.5f788ap-10f);
    q = horner(q, f, 0x1.3b26fep-7f);
    q = horner(q, f, 0x1.c6ae3p-5f);
    q = horner(q, f, 0x1.ebfbe4p-3f);
    q = horner(q, f, 0x1.62e432p-1f);
    q = horner(q, f, 1);
    v_f32 y = 1 - 2 / horner(power, q, 1);
    return v_copysign(v_select(v_less(a, v_splat_f32(0.55f)), v_fma(p * z, a, a), y), x);
}

/* With x = n ln 2 + r: 1 / (1 + e^-x) = 2^n / (2^n + e^-r): nothing overflows. What 2^n + 1 would
 * round away is taken off r. Beyond 18 all is 1. */
static inline v_f32 v_sigmoid(v_f32 x)
{
    v_f32 r, n = reduce(v_min(v_splat_f32(18), v_max(v_splat_f32(-105), x)), &r);
    v_f32 power = v_power_of_two(v_max(v_splat_f32(-126), n));
    r -= v_select(v_less(n, v_splat_f32(-23)), power, v_splat_f32(0));
    return v_scale(1 / v_fma(exp_slope(-r), -r, power + 1), n);
}

/* n ln 2 + log(1 + f), for integral n and 1 + f in [sqrt 1/2, sqrt 2) */
static inline v_f32 log_sum(v_f32 n, v_f32 f)
{
    v_f32 q = v_splat_f32(-0x1.3819c8p-4f);
    q = horner(q, f, 0x1.0844acp-3f);
    q = horner(q, f, -0x1.0f39d2p-3f);
    q = horner(q, f, 0x1.2272a6p-3f);
    q = horner(q, f, -0x1.542766p-3f);
    q = horner(q, f, 0x1.99a3eep-3f);
    q = horner(q, f, -0x1.000428p-2f);
    q = horner(q, f, 0x1.55555p-2f);
    q = horner(q, f, -0x1.fffff8p-2f);
    v_f32 y = v_fma(n, v_splat_f32(LN2_LOW), v_fma(f * f, q, f));
    return v_fma(n, v_splat_f32(LN2_HIGH), y);
}

/* x = 2^e m with m in [sqrt 1/2, sqrt 2), for normal x > 0; e stands where an f32's exponent does.
 */
static inline v_u32 exponent(v_f32 x)
{
    return ((v_u32)x - 0x3f3504f3u) & 0xff800000u;
}

static inline v_f32 exponent_value(v_u32 e)
{
    return __builtin_convertvector((v_i32)e >> 23, v_f32);
}

/* y where low < x, -infinity where x = low, NaN below and for NaN, and infinity for that. */
static inline v_f32 log_domain(v_f32 x, f32 low, v_f32 y)
{
    v_f32 inf = v_splat_f32(INFINITY), bottom = v_splat_f32(low);
    v_f32 outside = v_select(v_same(x, bottom), -inf, v_splat_f32(NAN));
    return v_select(v_less(bottom, x), v_select(v_same(x, inf), inf, y), outside);
}

static inline v_f32 v_log(v_f32 x)
{
    m_f32 subnormal = v_less(x, v_splat_f32(0x1p-126f));
    v_f32 s = v_select(subnormal, x * 0x1p23f, x);
    v_u32 e = exponent(s);
    v_f32 n = exponent_value(e) - v_select(subnormal, v_splat_f32(23), v_splat_f32(0));
    return log_domain(x, 0, log_sum(n, (v_f32)((v_u32)s - e) - 1));
}

/* 1 + x = 2^n (1 + f), f = x 2^-n + (2^-n - 1): what 1 + x rounds away is not lost. x > -1. */
static inline v_f32 log1p_inside(v_f32 x)
{
    v_u32 e = exponent(1 + x);
    v_f32 power =
        v_select(v_less(x, v_splat_f32(0x1p60f)), (v_f32)(0x3f800000u - e), v_splat_f32(0));
    return log_sum(exponent_value(e), (v_f32)((v_u32)x - e) + (power - 1));
}

static inline v_f32 v_log1p(v_f32 x)
{
    return log_domain(x, -1, v_copysign(log1p_inside(x), x));
}

/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|) */
static inline v_f32 v_softplus(v_f32 x)
{
    return v_max(v_splat_f32(0), x) + log1p_inside(exp_below(-v_abs(x)));
}

/* x + x p(x^2) below 1; above it 1 - p(|x|)^4, where p approximates the fourth root of erfc. */
static inline v_f32 v_erf(v_f32 x)
{
    v_f32 a = v_abs(x), z = a * a, b = v_min(v_splat_f32(3.95f), a);
    v_f32 p = v_splat_f32(0x1.477248p-14f);
    p = horner(p, z, -0x1.a35166p-11f);
    p = horner(p, z, 0x1.53f224p-8f);
    p = horner(p, z, -0x1.b7f71ap-6f);
    p = horner(p, z, 0x1.ce2ce6p-4f);
    p = horner(p, z, -0x1.81273ep-2f);
    p = horner(p, z, 0x1.06eba8p-3f);
    v_f32 q = v_splat_f32(-0x1.740bd8p-16f);
    q = horner(q, b, 0x1.723f18p-13f);
    q = horner(q, b, 0x1.9b7d08p-11f);
    q = horner(q, b, -0x1.a2d256p-7f);
    q = horner(q, b, 0x1.6771e6p-5f);
    q = horner(q, b, -0x1.1fcc86p-6f);
    q = horner(q, b, -0x1.7e1182p-4f);
    q = horner(q, b, -0x1.2ca62ap-2f);
    q = horner(q, b, 0x1.008efp0f);
    q *= q;
    v_f32 y = v_select(v_less(a, v_splat_f32(1)), v_fma(a, p, a), 1 - q * q);
    return v_copysign(y, x);
}

#endif
