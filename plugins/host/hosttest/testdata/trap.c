/* trap: fails on every item. */
#define EVAL { (void)frame; __builtin_trap(); }
#include "guest.h"
