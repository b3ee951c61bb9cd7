/* boom: traps on texts that contain "boom"; its code counts the items that this instance has seen. */
#include <stdint.h>
static uint32_t seen;
#define EVAL { \
	tk_bytes t = tk_value(frame, TK_TEXT); \
	seen++; \
	for (uint32_t i = 0; i + 4 <= t.n; i++) \
		if (t.p[i] == 'b' && t.p[i + 1] == 'o' && t.p[i + 2] == 'o' && t.p[i + 3] == 'm') __builtin_trap(); \
	return tk_verdict(TK_NONE, 0, 0, seen); \
}
#include "guest.h"
