/* guest.h: what the test guests share. Each defines EVAL, the body of tk_eval_rule(tk_bytes frame), and may define INIT, the
 * body of tk_init_rule(tk_bytes config). */
#include "ticketing.h"

#ifndef INIT
#define INIT { (void)config; return 0; }
#endif

static int32_t tk_init_rule(tk_bytes config) INIT
static uint64_t tk_eval_rule(tk_bytes frame) EVAL
