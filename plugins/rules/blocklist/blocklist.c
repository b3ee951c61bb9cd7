/* blocklist: blocks words and domains.
 *
 * Signals: none but the lists of the configuration. The host looks for them (see "match" in plugins/abi/doc.go), this
 * rule says what a hit means. See README.md for the configuration.
 */
#include "ticketing.h"

enum { SETS = 64, NAME = 48 };

enum { CODE_WORD = 1 };
enum { REFUSED_ACTION = 1, REFUSED_LABEL, REFUSED_SETS };

typedef struct {
	char label[NAME + 1];
	char detail[161];
	uint32_t action;
} category;

static category categories[SETS];
static uint32_t count;

static int32_t read_category(tk_bytes set, category *c) {
	tk_bytes action = tk_json_text(tk_json_get(set, "action"));
	if (action.n == 0 || tk_is(action, "reject")) c->action = TK_REJECT;
	else if (tk_is(action, "hold")) c->action = TK_HOLD;
	else if (tk_is(action, "flag")) c->action = TK_FLAG;
	else return REFUSED_ACTION;
	if (!tk_json_copy(c->label, sizeof c->label, tk_json_get(set, "label"))) return REFUSED_LABEL;
	if (!tk_json_copy(c->detail, sizeof c->detail, tk_json_get(set, "detail"))) return REFUSED_LABEL;
	return 0;
}

static int32_t tk_init_rule(tk_bytes config) {
	tk_bytes sets = tk_json_get(config, "match"), key, set;
	uint32_t at = 0;
	while (tk_json_next(sets, &at, &key, &set)) {
		if (count == SETS) return REFUSED_SETS;
		int32_t fault = read_category(set, &categories[count]);
		if (fault) return fault;
		count++;
	}
	return 0;
}

static int hits(uint32_t set) {
	return tk_match((int32_t)set, TK_TEXT) >= 0 || tk_match((int32_t)set, TK_TITLE) >= 0;
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	const category *worst = 0;
	(void)frame;
	for (uint32_t i = 0; i < count; i++) {
		if (!hits(i)) continue;
		if (categories[i].label[0]) tk_add_label(categories[i].label, 10000);
		if (!worst || categories[i].action > worst->action) worst = &categories[i];
	}
	if (!worst) return TK_OK;
	tk_text detail = {.n = 0};
	tk_add(&detail, worst->detail[0] ? worst->detail : "It contains a blocked word.");
	tk_send_detail(&detail);
	return tk_verdict(worst->action, 10000, 200, CODE_WORD);
}
