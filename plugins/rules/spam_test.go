package rules_test

import (
	"encoding/csv"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
)

// open returns a judge with one built-in rule and its default configuration.
func open(t testing.TB, name, config string) ticketing.Judge {
	t.Helper()
	_, j := openHost(t, name, config)
	return j
}

func openHost(t testing.TB, name, config string) (*host.Host, ticketing.Judge) {
	t.Helper()
	for _, r := range rules.Builtin() {
		if r.Name != name {
			continue
		}
		if config == "" {
			config = string(r.Config)
		}
		h := host.New(hosttest.NewSource(r.Module), host.Options{})
		t.Cleanup(h.Close)
		j, err := h.Open(t.Context(), ticketing.RuleSet{Generation: 1, Rules: []ticketing.Rule{
			{Name: name, Active: ticketing.DigestOf(r.Module), Version: "v1", Trusted: true, Config: []byte(config)},
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(j.Close)
		return h, j
	}
	t.Fatalf("no rule %s", name)
	return nil, nil
}

type comment struct {
	author, text string
	spam         bool
}

var tags = regexp.MustCompile(`<[^>]*>`)

// plain makes plain text of what the web site stored, as an importer does.
func plain(s string) string {
	s = strings.NewReplacer("<br />", "\n", "<br>", "\n").Replace(s)
	return strings.TrimSpace(strings.ReplaceAll(html.UnescapeString(tags.ReplaceAllString(s, "")), "\ufeff", ""))
}

// dataset reads the labelled comments of one file.
func dataset(t *testing.T, path string) []comment {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []comment
	for _, r := range rows[1:] {
		out = append(out, comment{r[1], plain(r[3]), r[4] == "1"})
	}
	return out
}

// TestSpamOnLabelledComments holds the rule to what it promises on comments that it was not written for.
func TestSpamOnLabelledComments(t *testing.T) {
	files, err := filepath.Glob("../../examples/data/*.csv")
	if err != nil || len(files) == 0 {
		t.Fatalf("no data: %v", err)
	}
	j := open(t, "spam", "")
	var caught, missed, wrong, right int
	for _, path := range files {
		var fileCaught, fileMissed, fileWrong int
		for i, c := range dataset(t, path) {
			item := newItem(c.text)
			item.Author.ID = ticketing.NewID(1, item.At, ticketing.Hash64([]byte(c.author)))
			item.At = item.At.Add(time.Duration(i) * time.Minute)
			o := j.Judge(item, nil).Outcomes[0]
			if o.Failure != "" {
				t.Fatalf("%q: %s", c.text, o.Failure)
			}
			switch stopped := o.Action >= ticketing.ActionHold; {
			case stopped && c.spam:
				fileCaught++
			case c.spam:
				fileMissed++
				t.Logf("missed %5d: %q", o.Score, c.text)
			case stopped:
				fileWrong++
				t.Logf("wrong  %5d: %q (%s)", o.Score, c.text, o.Detail)
			default:
				right++
			}
		}
		t.Logf("%s: precision %.3f recall %.3f", filepath.Base(path), ratio(fileCaught, fileWrong), ratio(fileCaught, fileMissed))
		caught, missed, wrong = caught+fileCaught, missed+fileMissed, wrong+fileWrong
	}
	precision, recall := ratio(caught, wrong), ratio(caught, missed)
	t.Logf("all: precision %.3f recall %.3f; caught %d, missed %d, wrongly stopped %d, rightly passed %d", precision, recall, caught, missed, wrong, right)
	if precision < 0.95 || recall < 0.75 {
		t.Errorf("precision %.3f, recall %.3f; at least 0.95 and 0.75 are promised", precision, recall)
	}
}

func ratio(hit, other int) float64 { return float64(hit) / float64(max(hit+other, 1)) }

func newItem(text string) *ticketing.Item {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &ticketing.Item{
		Kind: ticketing.KindComment, ID: ticketing.NewID(3, at, 7), Rev: 1, Post: ticketing.NewID(3, at, 8), Text: text,
		Author: ticketing.Author{ID: ticketing.NewID(1, at, 9), Name: "Ann"}, AuthorAge: 1000, At: at,
	}
}
