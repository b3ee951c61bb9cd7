package openapi

import "testing"

func TestProse(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"A `<b>` & **c**.":            "<p>A <code>&lt;b&gt;</code> &amp; <strong>c</strong>.</p>",
		"## T\nx\n* one\n  more\n* y": "<h2>T</h2><p>x</p><ul><li>one more</li><li>y</li></ul>",
		"<script>alert(1)</script>":   "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>",
		"a\n\nb":                      "<p>a</p><p>b</p>",
	} {
		if got := string(prose(text)); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestCurl(t *testing.T) {
	_, m := loaded(t)
	got := map[string]string{}
	for i := range m.Operations {
		got[m.Operations[i].ID] = curl(&m.Operations[i])
	}
	for id, want := range map[string]string{
		"search": `curl "$URL/api/search?q=wide+tyres"`,
		"editComment": `curl -X PATCH "$URL/api/posts/0dgg38g8939c1s1xcqn6f6bfc4/comments/03a038g896yj1jkb91b97w84tg" \
  -H "Authorization: Bearer $TOKEN" \
  -H 'If-Match: "2"' \
  -H 'Content-Type: application/json' \
  --data-binary '{"text":"Wide tyres. And a bell."}'`,
		"uploadPlugin": `curl -X POST "$URL/api/plugins/links/versions" \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/wasm' \
  --data-binary @rule.wasm`,
	} {
		if got[id] != want {
			t.Errorf("%s:\n%s", id, got[id])
		}
	}
}
