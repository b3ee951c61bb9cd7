/* approve_all: every item is fine. */
#define EVAL { (void)frame; return tk_verdict(TK_ALLOW, 0, 0, 0); }
#include "guest.h"
