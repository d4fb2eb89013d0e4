/* Learning rates over time. A rate is a leaf's value in the plan of a step, so changing it makes no
 * new plan. */
#include "optim/optim.h"

#include <math.h>

double sg_schedule_rate(const sg_schedule *s, double rate, int64_t t)
{
    double factor = s->factor > 0 ? s->factor : 0.5, period = s->period > 0 ? s->period : 1000;
    double after = (double)t - s->warmup;
    if (after <= 0 && s->warmup > 0)
        return fmax(rate * (double)t / s->warmup, s->floor);
    double r = rate;
    switch (s->kind) {
    case SG_CONSTANT_RATE:
        break;
    case SG_STEPS:
        r = rate * pow(factor, floor((after - 1) / period)); /* t = 1 .. period: rate itself */
        break;
    case SG_EXPONENTIAL:
        r = rate * pow(factor, (after - 1) / period);
        break;
    case SG_INVERSE_SQRT:
        r = rate * sqrt(fmax(s->warmup, 1) / (double)(t > 1 ? t : 1));
        break;
    case SG_COSINE:
        r = s->floor + (rate - s->floor) *
                           (1 + cos(3.14159265358979323846 * fmin((after - 1) / period, 1))) / 2;
        break;
    }
    return fmax(r, s->floor);
}
