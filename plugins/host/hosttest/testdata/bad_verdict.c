/* bad_verdict: returns the number that the item's text spells in hexadecimal. */
#define EVAL { \
	tk_bytes t = tk_value(frame, TK_TEXT); \
	uint64_t v = 0; \
	for (uint32_t i = 0; i < t.n; i++) v = v << 4 | (uint64_t)(t.p[i] <= '9' ? t.p[i] - '0' : t.p[i] - 'a' + 10); \
	return v; \
}
#include "guest.h"
