/* All of seqgrad. */
#ifndef SG_SEQGRAD_H
#define SG_SEQGRAD_H

#include "core/core.h"
#include "models/models.h"
#include "ops/ops.h"
#include "optim/optim.h"

#endif
