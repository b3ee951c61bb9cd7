/* words: holds what has a word of its first set; all the work is the host's. */
#define EVAL { (void)frame; return tk_match(0, TK_TEXT) >= 0 ? tk_verdict(TK_HOLD, 9000, 50, 1) : TK_OK; }
#include "guest.h"
