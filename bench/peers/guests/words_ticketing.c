/* The rule for our own host: the host looks for the words of the configuration, the rule says what a hit means. The verdict's code is
 * the number of the word. */
#include "ticketing.h"

static int32_t tk_init_rule(tk_bytes config) {
	(void)config;
	return 0;
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	(void)frame;
	int64_t hit = tk_match(0, TK_TEXT);
	return hit < 0 ? TK_OK : tk_verdict(TK_REJECT, 10000, 200, (uint32_t)(hit >> 32));
}
