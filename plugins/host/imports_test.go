package host_test

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

func probe(t *testing.T, config string) ticketing.Judge {
	return open(t, []ticketing.Rule{uploaded("probe", hosttest.Probe, config)}, hosttest.Probe)
}

func TestFields(t *testing.T) {
	j := probe(t, "")
	long := strings.Repeat("é", 35_000) + "!" // 70,001 bytes: more than a frame holds
	for _, tc := range []struct {
		title, text string
		want        int32
	}{
		{"length", "hello", 5},
		{"length", long, 70_001},
		{"last byte", long, '!'},
		{"inline", "hello", 5},
		{"no field", "x", int32(abi.BadArgument)},
		{"no parent", "x", int32(abi.NoEntry)},
		{"now", "x", int32(noon.Unix())},
	} {
		if o := one(t, j, titled(tc.title, tc.text), nil); int32(o.Code) != tc.want || o.Failure != "" {
			t.Errorf("%s: %+v, want %d", tc.title, o, tc.want)
		}
	}
	o := one(t, j, titled("inline", long), nil)
	if o.Code <= 60_000 || o.Code >= abi.MaxFrame || o.Code%2 != 0 {
		t.Errorf("%d bytes of a long text are in the frame", o.Code)
	}
}

func TestCounters(t *testing.T) {
	j, state := probe(t, ""), memstate.New()
	for i := range int64(3) {
		if o := one(t, j, titled("add", "x"), state); int64(o.Code) != i+1 {
			t.Errorf("add: %+v", o)
		}
	}
	if o := one(t, j, titled("add text", "some text"), state); o.Code != 3 {
		t.Errorf("add text: %+v", o)
	}
	id := ticketing.NewID(1, noon, 9)
	byAuthor, _ := state.AddCounter("probe", 1, id[:], 0, time.Minute, noon)
	byText, _ := state.AddCounter("probe", 2, []byte("some text"), 0, time.Hour, noon)
	if byAuthor != 3 || byText != 3 || state.Len() != 2 {
		t.Errorf("by author %d, by text %d, %d counters", byAuthor, byText, state.Len())
	}
	if o := one(t, j, titled("subtract", "x"), state); o.Code != 0 {
		t.Errorf("a sum under zero: %+v", o)
	}
	if o := one(t, j, titled("add text", strings.Repeat("long ", 100)), state); o.Code != 3 {
		t.Errorf("add long text: %+v", o)
	}
	hashed := sha256.Sum256([]byte(strings.Repeat("long ", 100)))
	if n, _ := state.AddCounter("probe", 2, hashed[:], 0, time.Hour, noon); n != 3 {
		t.Errorf("a long key is not counted under its hash: %d", n)
	}
}

func TestCountersAreTakenBackAfterFailure(t *testing.T) {
	j := probe(t, "")
	for _, title := range []string{"add then trap", "add then bad verdict"} {
		state := memstate.New()
		if o := one(t, j, titled(title, "x"), state); o.Failure == "" {
			t.Fatalf("%s: %+v", title, o)
		}
		if n := state.Len(); n != 0 {
			t.Errorf("%s: %d counters are left", title, n)
		}
	}
}

func TestCounterArguments(t *testing.T) {
	j := probe(t, "")
	for title, want := range map[string]abi.ErrorCode{
		"long window": abi.BadArgument,
		"no window":   abi.BadArgument,
		"huge delta":  abi.BadArgument,
		"add nothing": abi.BadArgument,
		"add parent":  abi.NoEntry,
	} {
		state := memstate.New()
		if o := one(t, j, titled(title, "x"), state); abi.ErrorCode(o.Code) != want || state.Len() != 0 {
			t.Errorf("%s: %d, want %d; %d counters", title, int32(o.Code), want, state.Len())
		}
	}
	if o := one(t, j, titled("add", "x"), nil); abi.ErrorCode(o.Code) != abi.Unavailable {
		t.Errorf("without a state: %+v", o)
	}
}

const searching = `{
	"match": [
		["free*", "check out", "naïve", "ｗｉｄｅ"],
		{"words": ["one"], "domains": ["example.com"], "label": "x"}
	],
	"regex": [
		["(?i)b[o0]+m", "\\d{4,}"],
		[]
	]
}`

// The score of the answer is the pattern, the code is the offset; an error has score 9999.
func TestMatchAndRegex(t *testing.T) {
	j := probe(t, searching)
	for _, tc := range []struct {
		title, text string
		pattern     uint16
		offset      int32
	}{
		{"match 0", "nothing here", 9999, -1},
		{"match 0", "my FREEDOM", 0, 3},
		{"match 0", "unfree", 9999, -1},
		{"match 0", "so check  \t out this", 1, 3},
		{"match 0", "checkout", 9999, -1},
		{"match 0", "how NA\u0131\u0308VE", 9999, -1},
		{"match 0", "how Nai\u0308ve", 2, 4},
		{"match 0", "é very wide", 3, 8},
		{"match 0", "fr\u200bee", 0, 0},
		{"match 1", "ones, none, one", 0, 12},
		{"match 1", "see http://www.Example.com/x", 1, 15},
		{"match 1", "badexample.com example.com.org example.community my-example.com", 9999, -1},
		{"match 1", "the end is example.com.", 1, 11},
		{"match 9", "x", 9999, int32(abi.BadArgument)},
		{"match id", "x", 9999, int32(abi.BadArgument)},
		{"match parent", "x", 9999, int32(abi.NoEntry)},
		{"regex 0", "it goes B0om", 0, 8},
		{"regex 0", "year 2026", 1, 5},
		{"regex 0", "nothing", 9999, -1},
		{"regex 1", "nothing", 9999, -1},
	} {
		o := one(t, j, titled(tc.title, tc.text), nil)
		if o.Failure != "" || o.Score != tc.pattern || int32(o.Code) != tc.offset {
			t.Errorf("%s in %q: pattern %d at %d (%s), want %d at %d", tc.title, tc.text, o.Score, int32(o.Code), o.Failure, tc.pattern, tc.offset)
		}
	}
}

func TestLogGoesToTheLogger(t *testing.T) {
	var out bytes.Buffer
	h := host.New(hosttest.NewSource(hosttest.Probe), host.Options{
		Usual: limitsOf(10*time.Second, 10*time.Second), Most: limitsOf(10*time.Second, 10*time.Second),
		Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	t.Cleanup(h.Close)
	j := openIn(t, h, ruleSet(1, uploaded("probe", hosttest.Probe, "")))
	one(t, j, titled("log", "x"), nil)
	if n := strings.Count(out.String(), "0123456789"); n == 0 || strings.Count(out.String(), "\n") > abi.MaxLog/64 {
		t.Errorf("%d lines", strings.Count(out.String(), "\n"))
	}
	for range 10 {
		one(t, j, titled("log", "x"), nil)
	}
	if n := strings.Count(out.String(), "\n"); n > 300 {
		t.Errorf("%d lines although a rule may write 100 per second", n)
	}
}
