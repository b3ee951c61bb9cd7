/* velocity: stops authors who send too much in a time.
 *
 * Signals: how many items an author sent within each of up to eight windows, and how often the same text. New items
 * count, edits do not. The time is the items' own, so the windows are right for imported items too. What there is no room
 * to count is held, and one author alone cannot take the room. See README.md.
 */
#include "ticketing.h"

enum { WINDOWS = 8 };
enum { PLACES = 16 }; /* for all texts of an author who is over his limit */
enum { CODE_AUTHOR = 1, CODE_TEXT, CODE_UNCOUNTED };
enum { REFUSED_ACTION = 1, REFUSED_NUMBER, REFUSED_WINDOWS };

typedef struct {
	int32_t items, seconds; /* more items than these in so many seconds are too many */
	uint32_t action;
} window;

/* Counters are kept under the place of the window, those of texts behind those of authors, and behind them the places of authors who are
 * over their limit. */
typedef struct {
	const char *name, *label, *detail;
	int32_t field;
	uint32_t code, count;
	window windows[WINDOWS];
} limit;

static limit limits[] = {
	{.name = "author", .label = "rate", .detail = "It is one of many within a short time.", .field = TK_AUTHOR, .code = CODE_AUTHOR},
	{.name = "text", .label = "same-text", .detail = "The same text was sent before.", .field = TK_TEXT, .code = CODE_TEXT},
};
enum { LIMITS = sizeof limits / sizeof *limits };

static int32_t read_window(tk_bytes json, window *w) {
	tk_bytes action = tk_json_text(tk_json_get(json, "action"));
	if (action.n == 0 || tk_is(action, "hold")) w->action = TK_HOLD;
	else if (tk_is(action, "flag")) w->action = TK_FLAG;
	else if (tk_is(action, "reject")) w->action = TK_REJECT;
	else return REFUSED_ACTION;
	w->items = w->seconds = -1;
	if (!tk_json_int(json, "items", 1, 1000000, &w->items) || !tk_json_int(json, "seconds", 1, 31 * 86400, &w->seconds) ||
	    w->items < 0 || w->seconds < 0)
		return REFUSED_NUMBER;
	return 0;
}

static int32_t tk_init_rule(tk_bytes config) {
	for (uint32_t i = 0; i < LIMITS; i++) {
		tk_bytes list = tk_json_get(config, limits[i].name), key, json;
		for (uint32_t at = 0; tk_json_next(list, &at, &key, &json); limits[i].count++) {
			if (limits[i].count == WINDOWS) return REFUSED_WINDOWS;
			int32_t fault = read_window(json, &limits[i].windows[limits[i].count]);
			if (fault) return fault;
		}
	}
	return 0;
}

/* exceeded counts the item in every window and returns the worst action of those that are full. One in which it cannot be counted is full
 * for all that is known: a person decides, and *uncounted is set. */
static uint32_t exceeded(const limit *l, int32_t first, int32_t step, int32_t field, int *uncounted) {
	uint32_t worst = TK_NONE;
	for (uint32_t i = 0; i < l->count; i++) {
		const window *w = &l->windows[i];
		int64_t sum = tk_counter_add(first + (int32_t)i * step, field, 1, w->seconds);
		uint32_t action = sum > w->items ? w->action : TK_NONE;
		if (sum == TK_LIMIT) {
			action = w->action < TK_HOLD ? w->action : TK_HOLD;
			*uncounted = 1;
		}
		if (action > worst) worst = action;
	}
	return worst;
}

/* texts counts the item's text. Each text has a counter of its own, but the texts of an author who is stopped already share a few of his: they
 * are not published, and thousands of them would take the room of all who share his slot. */
static uint32_t texts(const limit *l, uint32_t worst, int *uncounted) {
	if (worst < TK_HOLD || l->count == 0) return exceeded(l, 1 + WINDOWS, 1, l->field, uncounted);
	int32_t place = (int32_t)((uint64_t)tk_hash(TK_HASH_TEXT, TK_TEXT) % PLACES);
	return exceeded(l, 1 + 2 * WINDOWS + place, PLACES, TK_AUTHOR, uncounted);
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	uint32_t worst = TK_NONE, code = 0;
	if (tk_number(frame, TK_REVISION) > 1) return TK_ABSTAIN;
	for (int32_t i = 0; i < LIMITS; i++) {
		const limit *l = &limits[i];
		int uncounted = 0;
		uint32_t action = i == 0 ? exceeded(l, 1, 1, l->field, &uncounted) : texts(l, worst, &uncounted);
		if (action == TK_NONE) continue;
		const char *detail = l->detail;
		if (uncounted) detail = "So much was sent lately that this could not be counted.";
		tk_add_label(uncounted ? "uncounted" : l->label, 10000);
		if (action <= worst) continue;
		worst = action;
		code = uncounted ? CODE_UNCOUNTED : l->code;
		tk_detail(detail, (int32_t)tk_strlen(detail));
	}
	return worst == TK_NONE ? TK_OK : tk_verdict(worst, 10000, 80, code);
}
