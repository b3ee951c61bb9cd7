/* picky: accepts only configurations with "accept": 1; with "accept": 2 it traps, with 3 it never comes back. It tries all
 * imports while it starts and refuses its configuration with code 99 if one does not answer as it should. */
#define INIT { \
	int32_t accept = 0; \
	char b[8]; \
	tk_log(1, "starting", 8); \
	if (tk_field(TK_TEXT, b, 8) != TK_DENIED || tk_match(0, TK_TEXT) != TK_DENIED || tk_regex(0, TK_TEXT) != TK_DENIED || \
	    tk_label("x", 1, 0) != TK_DENIED || tk_detail("x", 1) != TK_DENIED || tk_now_ms() != 0 || \
	    tk_counter_add(1, TK_AUTHOR, 1, 60) != TK_DENIED) return 99; \
	tk_json_int(config, "accept", 0, 9, &accept); \
	if (accept == 2) __builtin_trap(); \
	if (accept == 3) for (volatile int n = 0;;) n++; \
	return accept == 1 ? 0 : 5; \
}
#define EVAL { (void)frame; return TK_OK; }
#include "guest.h"
