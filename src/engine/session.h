/*
 * A program on an engine with a surface at every port: what it takes to
 * evaluate one.
 */
#ifndef AN_ENGINE_SESSION_H
#define AN_ENGINE_SESSION_H

#include "anemone/engine.h"

typedef struct an_session {
    an_program *program;
    an_request *request;
    an_surface **surfaces; /* inputs, then outputs */
    int n_surfaces;
} an_session;

/* Compiles and binds; the engine must outlive the session. The caller calls
 * an_session_close in every case. */
an_status an_session_open(an_engine *engine, const an_source *source,
                          an_session *out, an_error *err);
void an_session_close(an_session *s);

/* Dense elements of input i. */
an_status an_session_put(an_session *s, int i, const void *data, an_error *err);
/* Dense elements of output i; the caller frees them with an_free. */
an_status an_session_take(an_session *s, int i, void **data, an_error *err);

#endif
