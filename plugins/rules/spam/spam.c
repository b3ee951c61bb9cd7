/* spam: recognizes advertising and begging in comments, posts and tickets.
 *
 * Signals, each worth points: phrases of the word sets in the configuration (promotion, call, own, contact, money, plea),
 * links (how many, how much of the text), e-mail addresses and phone
 * numbers, capitals, repeated characters and words. Points
 * count less for an author with approved items. From "hold" points on a person decides, from "reject" points on the
 * item is rejected. Apart from points, an author who sends too much in a short time is held. See README.md.
 */
#include "ticketing.h"

enum { SETS = 64 };

/* What was seen, as bits; the lowest one that is set is the reason code, counted from 1. */
enum {
	SEEN_PROMOTION, SEEN_LINK, SEEN_LINKS_ONLY, SEEN_CONTACT, SEEN_MONEY, SEEN_PLEA, SEEN_SHOUT, SEEN_REPEAT, SEEN_RATE,
	SEEN_END
};

static const struct { const char *label, *clause; } seen_texts[SEEN_END] = {
	[SEEN_PROMOTION] = {"promotion", "asks people to visit, watch or follow something"},
	[SEEN_LINK] = {"link", "contains a link"},
	[SEEN_LINKS_ONLY] = {"mostly-links", "has little text beside links"},
	[SEEN_CONTACT] = {"contact", "gives contact details"},
	[SEEN_MONEY] = {"money", "offers money or gifts"},
	[SEEN_PLEA] = {"plea", "begs for attention"},
	[SEEN_SHOUT] = {"shouting", "is mostly in capitals"},
	[SEEN_REPEAT] = {"repetition", "repeats itself"},
	[SEEN_RATE] = {"rate", "is one of many within a short time"},
};

enum { REFUSED_NUMBER = 1, REFUSED_SIGNAL, REFUSED_SETS };

/* The settings, with their defaults: points unless said otherwise. */
static int32_t hold = 50, reject = 90;
static int32_t link = 50, more_links = 10, links_only = 10;
static int32_t contact = 50, shout = 10, repeat = 10;
static int32_t known_after = 3, known_percent = 60; /* approved items that make an author known; what points count then */
static int32_t rate_items = 20, rate_seconds = 60; /* 0 items: no limit */

static struct { uint8_t seen; int32_t points; } sets[SETS];
static uint32_t set_count;

static void classify(void);

static int32_t read_set(tk_bytes set) {
	static const struct { const char *name; uint8_t seen; } signals[] = {
		{"promotion", SEEN_PROMOTION}, {"contact", SEEN_CONTACT}, {"money", SEEN_MONEY}, {"plea", SEEN_PLEA},
	};
	tk_bytes signal = tk_json_text(tk_json_get(set, "signal"));
	for (uint32_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		if (!tk_is(signal, signals[i].name)) continue;
		sets[set_count].seen = signals[i].seen;
		return tk_json_int(set, "points", 0, 100, &sets[set_count].points) ? 0 : REFUSED_NUMBER;
	}
	return REFUSED_SIGNAL;
}

static int32_t tk_init_rule(tk_bytes config) {
	tk_bytes points = tk_json_get(config, "points"), rate = tk_json_get(config, "rate"), key, set;
	if (!tk_json_int(config, "hold", 1, 1000, &hold) || !tk_json_int(config, "reject", 1, 1000, &reject) ||
	    !tk_json_int(config, "known_after", 0, 1000000, &known_after) ||
	    !tk_json_int(config, "known_percent", 0, 100, &known_percent) || !tk_json_int(points, "link", 0, 100, &link) ||
	    !tk_json_int(points, "more_links", 0, 100, &more_links) || !tk_json_int(points, "links_only", 0, 100, &links_only) ||
	    !tk_json_int(points, "contact", 0, 100, &contact) || !tk_json_int(points, "shouting", 0, 100, &shout) ||
	    !tk_json_int(points, "repetition", 0, 100, &repeat) || !tk_json_int(rate, "items", 0, 1000000, &rate_items) ||
	    !tk_json_int(rate, "seconds", 1, 86400, &rate_seconds))
		return REFUSED_NUMBER;
	classify();
	tk_bytes list = tk_json_get(config, "match");
	for (uint32_t at = 0; tk_json_next(list, &at, &key, &set); set_count++) {
		if (set_count == SETS) return REFUSED_SETS;
		int32_t fault = read_set(set);
		if (fault) return fault;
	}
	return 0;
}

/* ---- looking at the bytes ---- */

static inline int is_upper(uint8_t c) { return c >= 'A' && c <= 'Z'; }
static inline int is_letter(uint8_t c) { return (uint8_t)((c | 32) - 'a') < 26; }
static inline int is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static inline int is_name(uint8_t c) { return is_letter(c) || is_digit(c) || c == '-' || c >= 0x80; }
static inline int is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* at returns the byte at i, 0 outside. */
static inline uint8_t at(tk_bytes t, uint32_t i) { return i < t.n ? t.p[i] : 0; }

/* begins reports whether the text goes on at i with the lower-case word s, whatever its case. */
static int begins(tk_bytes t, uint32_t i, const char *s) {
	for (; *s; s++, i++) {
		uint8_t c = at(t, i);
		if ((is_upper(c) ? c + 32 : c) != (uint8_t)*s) return 0;
	}
	return 1;
}

/* Endings that make words with a dot between them a link; the order matters to dot. Those that are also words, and come
 * after a dot when somebody forgets a space, make one only before a slash. */
static const char *const endings[] = {
	"com", "net", "org", "info", "biz", "co", "io", "tv", "tk", "ru", "uk", "de", "fr", "es", "nl", "eu", "ca", "au", "br", "pl",
	"xyz", 0,
};
static const char *const weak_endings[] = {
	"me", "be", "us", "it", "in", "ly", "to", "gl", "online", "site", "shop", "club", "top", "link", "live", "app", "dev", 0,
};

enum { ANY_ENDING = 99 };

/* ending returns where a lower-case ending that begins at i ends, 0 if there is none. COM may be in capitals. */
static uint32_t ending(tk_bytes t, uint32_t i, const char *e) {
	uint32_t end = i + tk_strlen(e);
	if (!begins(t, i, e) || (is_upper(at(t, i)) && !(e[0] == 'c' && e[2] == 'm'))) return 0;
	return is_name(at(t, end)) || at(t, end) == '@' || (at(t, end) == '.' && is_name(at(t, end + 1))) ? 0 : end;
}

/* domain_end returns where one of the first endings that begins at i ends, 0 if there is none. */
static uint32_t domain_end(tk_bytes t, uint32_t i, uint32_t first) {
	uint32_t end;
	for (uint32_t k = 0; k < first && endings[k]; k++) if ((end = ending(t, i, endings[k]))) return end;
	if (first < ANY_ENDING) return 0;
	for (uint32_t k = 0; weak_endings[k]; k++) if ((end = ending(t, i, weak_endings[k])) && at(t, end) == '/') return end;
	return 0;
}

static uint32_t skip_link(tk_bytes t, uint32_t i) {
	while (i < t.n && !is_space(t.p[i])) i++;
	return i;
}

typedef struct {
	uint32_t solid, letters, upper; /* bytes that are no space; letters of ASCII */
	uint32_t links, linked;         /* links, and bytes in them */
	uint32_t addresses;             /* e-mail addresses and phone numbers */
	uint32_t run, words;            /* longest run of one character, of one word */
} shape;

/* dot handles a dot at i: the link around it, if it is one. Returns where to go on. Spaces around the dot are a way to hide
 * a link, and too often just the end of a sentence: then only the first endings count. */
static uint32_t dot(tk_bytes t, uint32_t i, uint32_t word, shape *s) {
	uint32_t from = i + 1, begin = word, first = ANY_ENDING, end;
	int before = i > 0 && is_space(t.p[i - 1]), behind = is_space(at(t, from));
	if (behind) from++;
	if (before) {
		if (i < 2 || !is_name(t.p[i - 2])) return i + 1;
		begin = i;
		first = 3;
	} else if (i == 0 || !is_name(t.p[i - 1])) {
		return i + 1;
	} else if (behind) {
		first = 1;
	}
	if (!(end = domain_end(t, from, first))) return i + 1;
	end = skip_link(t, end);
	s->links++;
	s->linked += end - begin;
	return end;
}

/* mail reports whether the @ at i stands in an e-mail address. */
static int mail(tk_bytes t, uint32_t i) {
	uint32_t k = i + 1;
	if (i == 0 || !is_name(t.p[i - 1])) return 0;
	while (is_name(at(t, k))) k++;
	return k > i + 1 && at(t, k) == '.' && is_letter(at(t, k + 1)) && is_letter(at(t, k + 2));
}

/* phone returns the length of a phone number at i, 0 if there is none: 9 to 15 digits, which begin with + or 0. Other long
 * numbers are counts more often than not. */
static uint32_t phone(tk_bytes t, uint32_t i) {
	uint32_t digits = 0, k = i;
	if ((at(t, i) != '+' && at(t, i) != '0') || (i > 0 && (is_name(t.p[i - 1]) || t.p[i - 1] == '.' || t.p[i - 1] == ','))) return 0;
	for (; k < t.n; k++) {
		uint8_t c = t.p[k];
		if (is_digit(c)) digits++;
		else if (c != ' ' && c != '-' && c != '(' && c != ')' && c != '/' && !(c == '+' && k == i)) break;
	}
	while (k > i && !is_digit(t.p[k - 1])) k--;
	return digits >= 9 && digits <= 15 && !is_letter(at(t, k)) ? k - i : 0;
}

/* What a byte is, as bits of class. A special byte may begin or be part of a link, an address or a number. */
enum { LETTER = 1, UPPER = 2, SPACE = 4, NAME = 8, SPECIAL = 16, STARTS_LINK = 32 };

static uint8_t class[256];
static uint64_t sums_of[256]; /* what a byte adds: 1 if it is no space, 1<<20 if it is a letter, 1<<40 if it is a capital */

static void classify(void) {
	for (uint32_t i = 0; i < 256; i++) {
		uint8_t c = (uint8_t)i, low = is_upper(c) ? c + 32 : c;
		class[i] = (uint8_t)((is_letter(c) ? LETTER : 0) | (is_upper(c) ? UPPER : 0) | (is_space(c) ? SPACE : 0) | (is_name(c) ? NAME : 0) |
			(c == '.' || c == '@' || c == '+' || c == '0' ? SPECIAL : 0) | (low == 'h' || low == 'w' ? STARTS_LINK : 0));
		sums_of[i] = (uint64_t)!is_space(c) | (uint64_t)is_letter(c) << 20 | (uint64_t)is_upper(c) << 40;
	}
}

/* special handles a byte that may begin something: returns where that ends, i if it is nothing. word is where the present
 * word, as far as domains go, began. */
__attribute__((noinline)) static uint32_t special(tk_bytes t, uint32_t i, uint32_t word, shape *s) {
	uint8_t c = t.p[i];
	uint32_t end = i;
	if (c == '.') {
		end = dot(t, i, word, s);
		if (end == i + 1) return i;
		s->solid += end - i;
	} else if (c == '@') {
		s->addresses += (uint32_t)mail(t, i);
	} else if (c == '+' || c == '0') {
		end = i + phone(t, i);
		s->addresses += end > i;
	} else if (begins(t, i, "http://") || begins(t, i, "https://") || begins(t, i, "www.") || begins(t, i, "watch?v=")) {
		end = skip_link(t, i + 4);
		s->links++;
		s->linked += end - i;
		s->solid += end - i;
	}
	return end;
}

/* four returns four bytes at p in lower case, first one lowest. */
static inline uint32_t four(const uint8_t *p) {
	uint32_t v;
	__builtin_memcpy(&v, p, 4);
	return v | 0x20202020;
}

/* starts_link reports whether a link may begin at p: with http, www. or watch. */
static inline int starts_link(const uint8_t *p) {
	uint32_t v = four(p);
	return v == 0x70747468 || v == 0x2e777777 || v == 0x63746177;
}

/* same reports whether two stretches of n bytes are the same word, whatever the case. */
static int same(const uint8_t *a, const uint8_t *b, uint32_t n) {
	for (uint32_t i = 0; i < n; i++) if ((is_letter(a[i]) ? a[i] | 32 : a[i]) != (is_letter(b[i]) ? b[i] | 32 : b[i])) return 0;
	return 1;
}

/* A counter of words that follow themselves. */
typedef struct { uint32_t start, n, times; } repeated;

static inline void word_ends(repeated *r, tk_bytes t, uint32_t start, uint32_t end, shape *s) {
	uint32_t n = end - start;
	r->times = n == r->n && same(t.p + start, t.p + r->start, n) ? r->times + 1 : 1;
	r->start = start;
	r->n = n;
	if (r->times > s->words) s->words = r->times;
}

/* look measures a text in one pass. name is where the present run of name bytes began; word the same, but dots between two
 * of them belong to it. */
static void look(tk_bytes t, shape *s) {
	repeated words = {0, 0, 0};
	uint64_t sums = 0;
	uint32_t run = 1, longest = 0, word = 0, name = 0, ended = 0;
	uint8_t before = ' ', is = SPACE;
	const uint8_t *p = t.p;
	uint32_t n = t.n;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t c = p[i], was = is;
		is = class[c];
		if ((is & SPECIAL) || ((is & STARTS_LINK) && !(was & NAME) && i + 4 <= n && starts_link(p + i))) {
			uint32_t end = special(t, i, word, s);
			if (end > i) {
				i = end - 1;
				before = ' ';
				is = SPACE;
				continue;
			}
		}
		sums += sums_of[c];
		if ((is ^ was) & NAME) {
			if (is & NAME) {
				name = i;
				if (before != '.' || ended != i - 1) word = i;
			} else {
				ended = i;
				word_ends(&words, t, name, i, s);
			}
		}
		if (c == before) {
			if (++run > longest && c < 0x80 && !(is & SPACE)) longest = run;
		} else {
			run = 1;
		}
		before = c;
	}
	if (is & NAME) word_ends(&words, t, name, t.n, s);
	s->solid += (uint32_t)sums & 0xfffff;
	s->letters += (uint32_t)(sums >> 20) & 0xfffff;
	s->upper += (uint32_t)(sums >> 40);
	if (longest > s->run) s->run = longest;
}

/* ---- the verdict ---- */

typedef struct { uint32_t seen; int32_t points; } result;

static void note(result *r, uint32_t what, int32_t points) {
	if (points <= 0) return;
	r->seen |= 1u << what;
	r->points += points;
}

static void judge_words(result *r, uint32_t field) {
	for (uint32_t i = 0; i < set_count; i++) {
		if (tk_match((int32_t)i, (int32_t)field) >= 0) note(r, sets[i].seen, sets[i].points);
	}
}

static void judge_shape(result *r, const shape *s) {
	if (s->links) {
		int32_t extra = (int32_t)(s->links > 4 ? 3 : s->links - 1) * more_links;
		note(r, SEEN_LINK, link + extra);
		if (s->linked * 2 > s->solid) note(r, SEEN_LINKS_ONLY, links_only);
	}
	if (s->addresses) note(r, SEEN_CONTACT, contact);
	if (s->letters >= 20 && s->upper * 10 > s->letters * 7) note(r, SEEN_SHOUT, shout);
	if (s->run >= 8 || s->words >= 4) note(r, SEEN_REPEAT, repeat);
}

static int too_fast(void) {
	return rate_items > 0 && tk_counter_add(1, TK_AUTHOR, 1, rate_seconds) > rate_items;
}

/* say sends the labels and the sentence for people, and returns the reason code. */
static uint32_t say(uint32_t seen) {
	tk_text t = {.n = 0};
	uint32_t code = 0, left = (uint32_t)__builtin_popcount(seen), said = 0;
	tk_add(&t, seen == 1u << SEEN_RATE ? "It " : "It looks like advertising: it ");
	for (uint32_t i = 0; i < SEEN_END; i++) {
		if (!(seen >> i & 1)) continue;
		if (!code) code = i + 1;
		if (said++) tk_add(&t, left == 1 ? " and " : ", ");
		left--;
		tk_add(&t, seen_texts[i].clause);
		tk_add_label(seen_texts[i].label, 10000);
	}
	tk_add(&t, ".");
	tk_send_detail(&t);
	return code;
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	result r = {0, 0};
	shape s = {0};
	tk_bytes title = tk_value(frame, TK_TITLE);
	judge_words(&r, TK_TEXT);
	look(tk_value(frame, TK_TEXT), &s);
	if (title.n) {
		judge_words(&r, TK_TITLE);
		look(title, &s);
	}
	judge_shape(&r, &s);
	if (tk_number(frame, TK_APPROVED) >= (uint64_t)known_after) r.points = r.points * known_percent / 100;
	int fast = too_fast();
	uint32_t score = (uint32_t)(r.points > 100 ? 100 : r.points) * 100;
	if (r.points < hold && !fast) return tk_verdict(TK_NONE, score, 0, 0);
	if (r.points < hold) r.seen = 0; /* what it is held for is the rate alone */
	uint32_t code = say(r.seen | (fast ? 1u << SEEN_RATE : 0));
	return tk_verdict(r.points >= reject ? TK_REJECT : TK_HOLD, score, r.points >= reject ? 150 : 80, code);
}
