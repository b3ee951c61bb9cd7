/* links: looks at where links lead.
 *
 * Signals: domains of the configuration, shorteners among them; addresses that imitate a known one with letters or digits
 * that look alike (paypa1.com); domains that are written in another script's letters but look as if they were not; many
 * links. See README.md.
 */
#include "category.h"

enum { CODE_DOMAIN = 1, CODE_IMITATION, CODE_HOMOGLYPH, CODE_MANY };
enum { REFUSED_NUMBER = REFUSED_OWN, REFUSED_ADDRESS };
enum { ADDRESSES = 64, ADDRESS = 64, NAME = 512 };

static const char imitation_detail[] = "It contains an address that imitates another one.";
static const char homoglyph_detail[] = "It contains an address with letters that look like others.";
static const char many_detail[] = "It contains many links.";

/* The settings. */
static struct { char plain[ADDRESS], alike[2 * ADDRESS]; } imitated[ADDRESSES];
static uint32_t imitated_count;
static uint32_t imitation = TK_HOLD, homoglyph = TK_HOLD, many = TK_HOLD;
static int32_t max_links = 5; /* 0: any number */

/* alike writes a name as it looks: what the skeleton of UTS #39 does to ASCII (0 and o, 1 and l, m and rn), so that names can
 * be compared whether they went through it or not. Returns the length, 0 if it does not fit. */
static uint32_t alike(char *to, uint32_t cap, tk_bytes s) {
	uint32_t n = 0;
	for (uint32_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		if (n + 2 >= cap) return 0;
		if (c >= 'A' && c <= 'Z') c += 32;
		if (c == 'm') {
			to[n++] = 'r';
			c = 'n';
		}
		to[n++] = (char)(c == '0' ? 'o' : c == '1' || c == '|' ? 'l' : c);
	}
	to[n] = 0;
	return n;
}

static int32_t tk_init_rule(tk_bytes config) {
	int32_t fault = read_categories(config);
	if (fault) return fault;
	if (!read_action(tk_json_get(config, "imitation"), &imitation) || !read_action(tk_json_get(config, "homoglyphs"), &homoglyph) ||
	    !read_action(tk_json_get(config, "many"), &many))
		return REFUSED_ACTION;
	if (!tk_json_int(config, "max_links", 0, 1000, &max_links)) return REFUSED_NUMBER;
	tk_bytes list = tk_json_get(config, "imitated"), key, json;
	for (uint32_t at = 0; tk_json_next(list, &at, &key, &json); imitated_count++) {
		if (imitated_count == ADDRESSES) return REFUSED_ADDRESS;
		tk_bytes name = tk_json_text(json);
		if (!tk_json_copy(imitated[imitated_count].plain, ADDRESS, json) || !alike(imitated[imitated_count].alike, 2 * ADDRESS, name))
			return REFUSED_ADDRESS;
	}
	return 0;
}

/* ---- domains in a text ---- */

static inline int of_name(uint8_t c) {
	return (uint8_t)((c | 32) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '.' || c >= 0x80;
}

/* next_name returns the next run of bytes that a domain is made of, without dots around it; nothing at the end. */
static tk_bytes next_name(tk_bytes t, uint32_t *at) {
	uint32_t i = *at;
	while (i < t.n && (!of_name(t.p[i]) || t.p[i] == '.')) i++;
	uint32_t start = i;
	while (i < t.n && of_name(t.p[i])) i++;
	*at = i;
	while (i > start && t.p[i - 1] == '.') i--;
	return (tk_bytes){t.p + start, i - start};
}

/* The last parts of names that people write without http://, as they look. */
static const char *const endings[] = {
	"corn", "net", "org", "info", "biz", "co", "io", "tv", "ru", "uk", "de", "fr", "es", "nl", "eu", "ca", "au", "br", "pl", "xyz",
	"app", "dev", "shop", "site", "online", "top", "club", 0,
};

/* is_domain reports whether a name, as it looks, is a domain: it ends with one of endings, or begins with www. */
static int is_domain(tk_bytes name) {
	uint32_t dot = name.n;
	while (dot > 0 && name.p[dot - 1] != '.') dot--;
	if (dot < 2) return 0;
	tk_bytes last = {name.p + dot, name.n - dot};
	for (uint32_t i = 0; endings[i]; i++) if (tk_is(last, endings[i])) return 1;
	return name.n > 4 && tk_is((tk_bytes){name.p, 4}, "www.") && dot > 4;
}

static int ascii(tk_bytes b) {
	for (uint32_t i = 0; i < b.n; i++) if (b.p[i] >= 0x80) return 0;
	return 1;
}

/* below reports whether a name is a domain or lies below it. */
static int below(tk_bytes name, const char *domain) {
	uint32_t n = tk_strlen(domain);
	return name.n >= n && tk_is((tk_bytes){name.p + name.n - n, n}, domain) && (name.n == n || name.p[name.n - n - 1] == '.');
}

/* What was counted in one form of a text. */
typedef struct { int32_t links, plain; int32_t imitated[ADDRESSES]; } survey;

/* count surveys a text. In the folded form the imitated addresses are those that are written out; in the skeleton, where
 * looks is set, those that look like them, the real ones included. plain are the domains in ASCII. */
static void count(tk_bytes text, int looks, survey *s) {
	char name[NAME];
	tk_bytes raw;
	for (uint32_t at = 0; (raw = next_name(text, &at)).n > 0;) {
		tk_bytes seen = {(const uint8_t *)name, alike(name, sizeof name, raw)};
		if (!is_domain(seen)) continue;
		s->links++;
		s->plain += ascii(seen);
		for (uint32_t i = 0; i < imitated_count; i++)
			s->imitated[i] += looks ? below(seen, imitated[i].alike) : below(raw, imitated[i].plain);
	}
}

static tk_bytes form(int32_t which, int32_t field, uint8_t *to, int32_t cap) {
	int32_t n = tk_norm(which, field, to, cap);
	return (tk_bytes){to, n < 0 || n > cap ? 0 : (uint32_t)n};
}

/* What is wrong with the links of an item. */
typedef struct { int imitation, homoglyph; int32_t links; } finding;

/* look surveys a field as it is written and as it looks. What looks like more than is written is a disguise. */
static void look(int32_t field, finding *f) {
	static uint8_t folded[1 << 16], skeleton[1 << 17];
	survey written = {0}, looks = {0};
	count(form(TK_FOLDED, field, folded, sizeof folded), 0, &written);
	count(form(TK_SKELETON, field, skeleton, sizeof skeleton), 1, &looks);
	for (uint32_t i = 0; i < imitated_count; i++) f->imitation |= looks.imitated[i] > written.imitated[i];
	f->homoglyph |= looks.plain > written.plain;
	f->links += written.links > looks.links ? written.links : looks.links;
}

/* ---- the verdict ---- */

typedef struct { uint32_t action, code; const char *detail; } answer;

static void note(answer *a, const char *label, uint32_t action, uint32_t code, const char *detail) {
	if (label[0]) tk_add_label(label, 10000);
	if (action <= a->action) return;
	*a = (answer){action, code, detail};
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	answer a = {TK_NONE, 0, ""};
	finding f = {0, 0, 0};
	const category *c = hit_category();
	if (c) note(&a, "", c->action, CODE_DOMAIN, c->detail[0] ? c->detail : "It links to a blocked address.");
	look(TK_TEXT, &f);
	if (tk_value(frame, TK_TITLE).n) look(TK_TITLE, &f);
	if (f.imitation) note(&a, "imitation", imitation, CODE_IMITATION, imitation_detail);
	if (f.homoglyph) note(&a, "homoglyphs", homoglyph, CODE_HOMOGLYPH, homoglyph_detail);
	if (max_links > 0 && f.links > max_links) note(&a, "many-links", many, CODE_MANY, many_detail);
	if (a.action == TK_NONE) return TK_OK;
	tk_detail(a.detail, (int32_t)tk_strlen(a.detail));
	return tk_verdict(a.action, 10000, a.action == TK_REJECT ? 150 : 80, a.code);
}
