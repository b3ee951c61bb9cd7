/* reject_all: no item is fine. */
#define EVAL { (void)frame; tk_detail("Everything is rejected.", 23); return tk_verdict(TK_REJECT, 10000, 255, 7); }
#include "guest.h"
