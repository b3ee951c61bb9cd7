/* category.h: word sets that say what a hit means. The n-th element of the configuration's member "match" may have, beside
 * its words and domains, a label, an action (reject if it is not given) and a detail for the author.
 */
#ifndef CATEGORY_H
#define CATEGORY_H

#include "ticketing.h"

enum { CATEGORIES = 64, CATEGORY_LABEL = 48, CATEGORY_DETAIL = 160 };

typedef struct {
	char label[CATEGORY_LABEL + 1];
	char detail[CATEGORY_DETAIL + 1];
	uint32_t action;
} category;

static category categories[CATEGORIES];
static uint32_t category_count;

enum { REFUSED_ACTION = 1, REFUSED_LABEL, REFUSED_SETS, REFUSED_OWN }; /* REFUSED_OWN: the first of the rule's own */

/* read_action sets *out to the action that a JSON text names, and leaves it when there is no text. */
static int read_action(tk_bytes json, uint32_t *out) {
	tk_bytes action = tk_json_text(json);
	if (json.n == 0) return 1;
	if (tk_is(action, "reject")) *out = TK_REJECT;
	else if (tk_is(action, "hold")) *out = TK_HOLD;
	else if (tk_is(action, "flag")) *out = TK_FLAG;
	else return 0;
	return 1;
}

/* read_categories reads the member "match" of a configuration. */
static int32_t read_categories(tk_bytes config) {
	tk_bytes sets = tk_json_get(config, "match"), key, set;
	for (uint32_t at = 0; tk_json_next(sets, &at, &key, &set); category_count++) {
		if (category_count == CATEGORIES) return REFUSED_SETS;
		category *c = &categories[category_count];
		c->action = TK_REJECT;
		if (!read_action(tk_json_get(set, "action"), &c->action)) return REFUSED_ACTION;
		if (!tk_json_copy(c->label, sizeof c->label, tk_json_get(set, "label"))) return REFUSED_LABEL;
		if (!tk_json_copy(c->detail, sizeof c->detail, tk_json_get(set, "detail"))) return REFUSED_LABEL;
	}
	return 0;
}

/* hit_category labels the item with every category that is hit and returns the worst one, 0 for none. */
static const category *hit_category(void) {
	const category *worst = 0;
	for (uint32_t i = 0; i < category_count; i++) {
		if (tk_match((int32_t)i, TK_TEXT) < 0 && tk_match((int32_t)i, TK_TITLE) < 0) continue;
		const category *c = &categories[i];
		if (c->label[0]) tk_add_label(c->label, 10000);
		if (!worst || c->action > worst->action) worst = c;
	}
	return worst;
}

#endif
