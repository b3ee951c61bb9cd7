package rule_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing/plugins/abi"
	rule "ticketing/plugins/sdk/go"
)

// TestItemReadsTheHostsFrames: an item is what the host put into the frame.
func TestItemReadsTheHostsFrames(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	author := []byte("0123456789abcdef")
	long := strings.Repeat("é", 3000)
	frame := abi.AppendFrame(nil, abi.Header{Flags: abi.FlagEdit, Time: at.UnixMilli(), Seed: 7}, []abi.Field{
		{ID: abi.FieldKind, Type: abi.TypeNumber, Number: 2},
		{ID: abi.FieldTitle, Type: abi.TypeText, Text: "Title"},
		{ID: abi.FieldAuthor, Type: abi.TypeBytes, Bytes: author},
		{ID: abi.FieldAuthorAge, Type: abi.TypeNumber, Number: 1500},
		{ID: abi.FieldText, Type: abi.TypeText, Text: long},
	}, abi.MinBuffer)
	i := rule.ItemOf(frame)
	if i.Kind() != rule.KindComment || i.Title() != "Title" || string(i.Author()) != string(author) || i.AuthorAge() != 1500*time.Millisecond {
		t.Errorf("kind %d, title %q, author %q, age %v", i.Kind(), i.Title(), i.Author(), i.AuthorAge())
	}
	if !i.Edit() || !i.Time().Equal(at) {
		t.Errorf("edit %v, time %v", i.Edit(), i.Time())
	}
	if got := i.Text(); !i.Cut(rule.Text) || len(got) == 0 || !strings.HasPrefix(long, got) {
		t.Errorf("a cut text: %d bytes, cut %v", len(got), i.Cut(rule.Text))
	}
	if i.Has(rule.Parent) || i.Bytes(rule.Parent) != nil || i.Number(rule.Approved) != 0 || i.AuthorName() != "" || i.Cut(rule.Title) {
		t.Error("fields that are not there have values")
	}
	if i.Number(rule.Title) != 0 {
		t.Error("a text is no number")
	}
}

// TestBuilderWritesTheContractsFrames: what unit tests judge is a frame that the contract accepts.
func TestBuilderWritesTheContractsFrames(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	item := new(rule.ItemBuilder).Number(rule.Kind, 1).Text(rule.Text, "words").Bytes(rule.Author, []byte("0123456789abcdef")).At(at).Edit().Item()
	f, err := abi.ParseFrame(rule.FrameOf(item))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := f.Field(abi.FieldText); !ok || string(v.Data) != "words" || v.Type != abi.TypeText {
		t.Errorf("text %v %v", v, ok)
	}
	if f.Time != at.UnixMilli() || f.Flags != abi.FlagEdit || item.Text() != "words" || item.Kind() != rule.KindPost {
		t.Errorf("%+v", f.Header)
	}
}

// TestVerdictsPackAsTheContractSays: what the host unpacks is what the author said.
func TestVerdictsPackAsTheContractSays(t *testing.T) {
	for _, tc := range []struct {
		v    rule.Verdict
		want abi.Verdict
	}{
		{rule.None(), abi.Verdict{}},
		{rule.Allow(), abi.Verdict{Action: 1}},
		{rule.Flag("x").Scored(17), abi.Verdict{Action: 2, Score: 17}},
		{rule.Hold("y").Coded(9), abi.Verdict{Action: 3, Code: 9}},
		{rule.Verdict{Action: rule.ActionReject, Score: 10_000, Severity: 255, Code: 1<<32 - 1}, abi.Verdict{Action: 4, Score: 10_000, Severity: 255, Code: 1<<32 - 1}},
		{rule.Abstain(), abi.Verdict{Status: abi.StatusAbstain}},
		{rule.Verdict{Action: rule.ActionHold}.Labelled("x"), abi.Verdict{Action: 3}},
		{rule.Fail(4), abi.Verdict{Status: abi.StatusError, Code: 4}},
	} {
		if got, err := abi.UnpackVerdict(rule.Pack(tc.v)); err != nil || got != tc.want {
			t.Errorf("%+v packs as %+v (%v), want %+v", tc.v, got, err, tc.want)
		}
	}
	if v := rule.Flag("a").Labelled("b", "c"); !slices.Equal(v.Labels, []string{"a", "b", "c"}) {
		t.Errorf("labels %v", v.Labels)
	}
}

// TestConfigurations: what is the host's is let through, what nobody knows is refused.
func TestConfigurations(t *testing.T) {
	type config struct {
		Limit int `json:"limit"`
		Match []struct {
			Label string `json:"label"`
		} `json:"match"`
	}
	var got config
	rule.RegisterConfigured(func(c config) (func(rule.Item) rule.Verdict, error) {
		if got = c; c.Limit < 0 {
			return nil, errors.New("below zero")
		}
		return func(rule.Item) rule.Verdict { return rule.None().Scored(uint16(c.Limit)) }, nil
	})
	if err := rule.Start([]byte(`{"limit": 5, "match": [{"label": "a"}], "regex": [{}], "lists": [{}]}`)); err != nil {
		t.Fatal(err)
	}
	if got.Limit != 5 || len(got.Match) != 1 || got.Match[0].Label != "a" || rule.Judge(rule.Item{}).Score != 5 {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{`{"limit": -1}`, `{"limti": 1}`, `{"limit": "x"}`, `[]`} {
		if rule.Start([]byte(bad)) == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// TestHostFunctions: the helpers pass on what a host answers, and stand it when a host has nothing to offer.
func TestHostFunctions(t *testing.T) {
	if _, ok := rule.Match(0, rule.Text); ok || rule.MatchAll(nil, 0, rule.Text) != nil || rule.Hash(rule.Text) != 0 || rule.Get("k") != nil ||
		rule.ListHas(0, rule.Text) || rule.Normalized(rule.Folded, rule.Text) != "" || rule.Put("k", nil, 0) {
		t.Error("a host that has nothing answers something")
	}
	if _, ok := rule.Count(1, rule.Author, 1, time.Minute); ok {
		t.Error("a host without counters counts")
	}
	defer func() { rule.Host = rule.HostFuncs{} }()
	values := map[string][]byte{}
	big := strings.Repeat("x", 3000)
	rule.Host.Match = func(set int, f rule.Field) (rule.Hit, bool) { return rule.Hit{Pattern: set + int(f), Offset: 3}, true }
	rule.Host.MatchAll = func(int, rule.Field) []rule.Hit { return slices.Repeat([]rule.Hit{{Pattern: 1, Offset: 2}}, 100) }
	rule.Host.Norm = func(rule.Form, rule.Field) string { return big }
	rule.Host.Get = func(k string) ([]byte, bool) { v, ok := values[k]; return v, ok }
	rule.Host.Put = func(k string, v []byte, _ time.Duration) {
		if v == nil {
			delete(values, k)
		} else {
			values[k] = slices.Clone(v)
		}
	}
	rule.Host.Count = func(_ uint32, _ rule.Field, delta int64, w time.Duration) int64 { return delta + int64(w/time.Second) }
	if p, ok := rule.Match(2, rule.Text); !ok || p != 2+int(rule.Text) {
		t.Error(p, ok)
	}
	if hits := rule.MatchAll(nil, 0, rule.Text); len(hits) != 100 || hits[99] != (rule.Hit{Pattern: 1, Offset: 2}) {
		t.Errorf("%d hits", len(hits))
	}
	if rule.Normalized(rule.Skeleton, rule.Text) != big {
		t.Error("a long form is not whole")
	}
	if !rule.Put("k", []byte("value"), time.Hour) || string(rule.Get("k")) != "value" {
		t.Error("what was put is not there")
	}
	if rule.Delete("k"); rule.Get("k") != nil {
		t.Error("what was deleted is there")
	}
	if n, ok := rule.Count(1, rule.Author, 5, time.Minute); n != 65 || !ok {
		t.Error(n, ok)
	}
}
