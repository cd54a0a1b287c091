/* A conversation with a model, turn by turn. */
#ifndef AN_CLI_TALK_H
#define AN_CLI_TALK_H

#include "anemone/train.h"

#include <stdio.h>

/*
 * Answers sample->prompt, or, when that is NULL, each line of `in` until its
 * end, as the user's turns of one conversation; what was said before is part of
 * each question. `system` may be NULL: then the model's chat template decides.
 * Answers go to `put` as they are made, a line's end behind each but the
 * prompt's.
 */
an_status an_talk(an_runner *runner, const an_sample_options *sample,
                  const char *system, FILE *in, an_sample_fn *put, void *ctx,
                  an_error *err);

#endif
