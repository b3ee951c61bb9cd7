/* blocklist: blocks words and domains.
 *
 * Signals: none but the lists of the configuration. The host looks for them (see "match" in docs/ABI.md), this rule says
 * what a hit means. See README.md for the configuration.
 */
#include "category.h"

enum { CODE_WORD = 1 };

static int32_t tk_init_rule(tk_bytes config) { return read_categories(config); }

static uint64_t tk_eval_rule(tk_bytes frame) {
	(void)frame;
	const category *worst = hit_category();
	if (!worst) return TK_OK;
	tk_text detail = {.n = 0};
	tk_add(&detail, worst->detail[0] ? worst->detail : "It contains a blocked word.");
	tk_send_detail(&detail);
	return tk_verdict(worst->action, 10000, 200, CODE_WORD);
}
