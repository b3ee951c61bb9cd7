/* loop: never comes back. */
#define EVAL { volatile int n = 0; (void)frame; for (;;) n++; }
#include "guest.h"
