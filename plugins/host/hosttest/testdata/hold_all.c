/* hold_all: a person shall look at every item. */
#define EVAL { (void)frame; tk_detail("Everything is held.", 19); return tk_verdict(TK_HOLD, 5000, 100, 8); }
#include "guest.h"
