package gateway

import (
	"bytes"
	"errors"
	"mime/multipart"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"ticketing"
)

// The page of a backtest shows how far it is and what it found, escapes what users wrote, and cancels; a decision's replay is a page, too.
func TestBacktestPages(t *testing.T) {
	w := newWorld(t)
	b := w.op.do("POST", "/api/backtests", `{"rule":"links","digest":"`+w.m.plugins[0].Digest.String()+`","config":{"max":1}}`).want(201)
	path := "/plugins/backtests/" + b.str("id")
	page := string(w.op.do("GET", path, "").want(200).Body)
	for _, part := range []string{`data-backtest="/api/backtests/` + b.str("id") + `/events"`, "queued", "Cancel", "Config: the one that was given", "&#34;max&#34;"} {
		if !strings.Contains(page, part) {
			t.Errorf("no %s in %s", part, page)
		}
	}
	w.m.backtests.goOn(b.id("id"), func(t *ticketing.Backtest) {
		t.State, t.Done, t.Total = ticketing.BacktestDone, 7, 7
		t.Report = &ticketing.BacktestReport{Judged: 7, Unseen: 3, NewCaught: 60, Automatic: ticketing.Confusion{TruePositive: 3, FalsePositive: 1},
			Caught: []ticketing.Sample{{Kind: ticketing.KindComment, Text: "<b>bold</b>", Was: ticketing.Approved, Now: ticketing.ActionHold, Human: true}}}
	})
	page = string(w.op.do("GET", path, "").want(200).Body)
	for _, part := range []string{"7 of 7", "75.0 %", "Newly caught: 60", "&lt;b&gt;bold", "by a person", "1 of them, chosen at random", "There is nothing to compare with.", "3 decisions from before the server kept what rules saw"} {
		if !strings.Contains(page, part) {
			t.Errorf("no %s in %s", part, page)
		}
	}
	if strings.Contains(page, "data-backtest") || strings.Contains(page, "Cancel") {
		t.Error("it has ended, and goes on")
	}
	if list := string(w.op.do("GET", "/plugins", "").want(200).Body); !strings.Contains(list, path) || !strings.Contains(list, "/replay") {
		t.Error("the plugins' page does not lead to backtests and replays")
	}
	w.m.backtests.goOn(b.id("id"), func(t *ticketing.Backtest) { t.Labels, t.Report.Labels = 5, ticketing.Confusion{TruePositive: 1} })
	page = string(w.op.do("GET", path, "").want(200).Body)
	if !strings.Contains(page, "What labels say") || !strings.Contains(page, "5 labels") {
		t.Errorf("%s", page)
	}
	w.mod.do("GET", path, "").want(http.StatusForbidden)
	w.op.do("GET", "/plugins/backtests/nonsense", "").want(http.StatusNotFound)
	if page := string(w.op.do("GET", "/decisions/"+w.m.decisions[0].ID.String()+"/replay", "").want(200).Body); !strings.Contains(page, "bit for bit, with the same fuel") {
		t.Errorf("%s", page)
	}
	w.m.replayed = func(r *ticketing.Replay) {
		fuel := ticketing.RuleReplay{Rule: "keeps", Same: true}
		fuel.Stored.Fuel, fuel.Now.Fuel = 700, 701
		r.Rules, r.SameFuel = []ticketing.RuleReplay{fuel}, false
	}
	shows := func(parts ...string) {
		t.Helper()
		page := string(w.op.do("GET", "/decisions/"+w.m.decisions[0].ID.String()+"/replay", "").want(200).Body)
		for _, part := range parts {
			if !strings.Contains(page, part) {
				t.Errorf("no %s in %s", part, page)
			}
		}
	}
	shows("bit for bit; some took another amount of fuel", "700, now 701", "with other fuel")
	w.m.replayed = func(r *ticketing.Replay) {
		r.Rules, r.Same, r.SameFuel = []ticketing.RuleReplay{{Rule: "late", Outside: true, Note: "It took too long then."}}, false, false
	}
	shows("does not follow from the item alone", "not compared</span> It took too long then.")
	w.m.replayed = func(r *ticketing.Replay) {
		r.Rules, r.Same, r.SameFuel = []ticketing.RuleReplay{{Rule: "odd", Note: "score 1 and 2"}}, false, false
	}
	shows("An outcome is not what is stored", "differs</span> score 1 and 2")
}

// Labels that name nothing, two things, or one thing twice, and labels that are none, are refused, and nothing starts.
func TestBacktestLabelsAreChecked(t *testing.T) {
	w := newWorld(t)
	start := `{"rule":"links","digest":"` + w.m.plugins[0].Digest.String() + `","labels":`
	id := ticketing.ID{0, 7}.String()
	before := len(w.m.backtests.all)
	for in, want := range map[string]string{
		`[{"label":"bad"}]`: "Label 1: name the item",
		`[{"key":"a","label":"bad"},{"key":"b","id":"` + id + `","label":"bad"}]`:                 "Label 2: name the item",
		`[{"key":"` + strings.Repeat("k", 201) + `","label":"bad"}]`:                              "of up to 200 bytes",
		`[{"key":"a","label":"spam"}]`:                                                            "Label 1: a label is good or bad",
		`[{"key":"a","label":"bad"},{"key":"a","label":"good"}]`:                                  "no item has two",
		`[` + strings.Repeat(`{"key":"a","label":"bad"},`, 50_000) + `{"key":"a","label":"bad"}]`: "There are 50001 labels, more than 50000.",
	} {
		if r := w.op.do("POST", "/api/backtests", start+in+"}").want(http.StatusBadRequest); !strings.Contains(string(r.Body), want) {
			t.Errorf("%.100s: %s", in, r.Body)
		}
	}
	if len(w.m.backtests.all) != before {
		t.Error("one of them started")
	}
}

// multipartForm is a form with a file; without a name none was chosen.
func multipartForm(t testing.TB, fileName, file string, pairs ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", fileName)
	if err == nil {
		_, err = part.Write([]byte(file))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// backtest sends the form of a rule with a file of labels, as a browser does whose button starts a backtest.
func (c *console) backtest(fileName, file string, more ...string) answer {
	c.t.Helper()
	fields := []string{csrfField, c.token("/plugins/links"), keyField, formKey(), "version", "1", "active", c.second.Digest.String(), "config", `{"max": 7}`, "onFailure", "allow", "scope", "post", "older", "1"}
	for _, name := range ticketing.LimitNames() {
		fields = append(fields, limitField+name, "")
	}
	body, contentType := multipartForm(c.w.t, fileName, file, append(fields, more...)...)
	return c.send("POST", "/plugins/links/backtest", body, "Content-Type", contentType)
}

// The form of a rule starts a backtest with labels from a file, and one without.
func TestBacktestFormTakesLabels(t *testing.T) {
	c := newConsole(t)
	c.page("/plugins/links", `formaction="/plugins/links/backtest" formenctype="multipart/form-data"`, `name="file" type="file" accept=".csv,text/csv"`)
	id := ticketing.ID{0, 7}
	for _, tc := range []struct {
		name, file string
		want       ticketing.Labels
	}{
		{"ids.csv", "id,label\n" + id.String() + ",spam\n", ticketing.Labels{Bad: []ticketing.ID{id}}},
		{"psy.csv", "COMMENT_ID,AUTHOR,CLASS\nz1,Ann,1\nz2,Bob,0\nz3,Cleo,\n", ticketing.Labels{
			Good: []ticketing.ID{ticketing.ImportedAs("youtube:z2")}, Bad: []ticketing.ID{ticketing.ImportedAs("youtube:z1")}}},
		{"", "", ticketing.Labels{}},
	} {
		a := c.backtest(tc.name, tc.file, "scope", "comment").want(http.StatusSeeOther) // all fields that there are
		asked := c.w.m.backtests.asked
		got := asked[len(asked)-1]
		if !strings.HasPrefix(a.Header.Get("Location"), "/plugins/backtests/") || got.Digest != c.second.Digest || string(got.Config) != `{"max": 7}` || !reflect.DeepEqual(got.Labels, tc.want) {
			t.Errorf("%q: %v, %+v", tc.name, a.Header, got)
		}
	}
}

// What is wrong with a file of labels stands beside its field, the rest of the form is as it was, and nothing starts.
func TestBacktestFormSaysWhatIsWrong(t *testing.T) {
	c := newConsole(t)
	before := len(c.w.m.backtests.all)
	kept := []string{`value="` + c.second.Digest.String() + `" selected`, `value="allow" selected`, `value="post" checked`, `value="comment"> comments`, `name="older" value="1" checked`}
	var many strings.Builder
	many.WriteString("key,label\n")
	for i := range ticketing.MaxLabels + 1 {
		many.WriteString(strconv.Itoa(i) + ",1\n")
	}
	for in, want := range map[string]string{
		"key,label\nk,1\nk,0\n":                           "The labels cannot be read: line 3: the item is good here and bad in line 2.",
		"key,label\nk,<maybe>\n":                          "line 2: the label &#34;&lt;maybe&gt;&#34; is neither 1",
		"key,label\n" + strings.Repeat("k", 201) + ",1\n": "of up to 200 bytes",
		"text,label\nx,1\n":                               "there is no column id or item",
		"key,label\nk,\n":                                 "The file holds no label.",
		"":                                                "it has no header",
		many.String():                                     "there are more than 50000 labels",
		strings.Repeat("x", maxLabelsFile+1):              "A file of labels has at most 4 MiB.",
	} {
		page := c.says(c.backtest("l.csv", in).want(http.StatusBadRequest), append(kept, want, `id="e-labels"`, `aria-describedby="e-labels h-labels" aria-invalid="true"`, "{&#34;max&#34;: 7}")...)
		if strings.Contains(page, "Choose the file again") {
			t.Errorf("%.20q: the file is at fault, and is asked for as it was", in)
		}
	}
	body, contentType := multipartForm(t, "l.csv", "key,label\nk,1\n", csrfField, c.token("/plugins/links"), "active", c.second.Digest.String(), "config", "{nonsense")
	c.says(c.send("POST", "/plugins/links/backtest", body, "Content-Type", contentType).want(http.StatusBadRequest), `id="e-config"`, "Choose the file again")
	body, contentType = multipartForm(t, "l.csv", "key,label\nk,1\n", "active", c.second.Digest.String(), "config", "{}")
	c.send("POST", "/plugins/links/backtest", body, "Content-Type", contentType).want(http.StatusForbidden) // no token
	if len(c.w.m.backtests.all) != before {
		t.Error("one of them started")
	}
}
