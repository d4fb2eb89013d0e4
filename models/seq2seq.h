/* What training and decoding of a sequence-to-sequence model share. */
#ifndef SG_SEQ2SEQ_H
#define SG_SEQ2SEQ_H

#include "models/models.h"

/* The first layer's input from target tokens, [B] or [B,T]: embedding times its rows of wx, plus b.
 */
sg_tensor *sg__project_tokens(const sg_seq2seq *m, sg_tensor *ids);
/* One step of all layers from xw [B,G]; e's states go on. top: the last layer's h. */
sg_attended sg__decoder_step(const sg_seq2seq *m, sg_encoded *e, sg_tensor *xw, sg_tensor **top);
sg_tensor *sg__readout(const sg_seq2seq *m, sg_tensor *context, sg_tensor *h);

#endif
