package client

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// TestRequestsOfOperators: what the methods for rules, backtests and decisions ask the server, to the letter.
func TestRequestsOfOperators(t *testing.T) {
	d := ticketing.Digest(sha256.Sum256([]byte("m")))
	id := ticketing.NewID(3, time.UnixMilli(1_700_000_000_000), 1)
	key, keyless := true, false
	for _, tc := range []struct {
		name  string
		do    func(c *Client) error
		want  string // method and path, then the body
		match string
		keyed bool
	}{
		{"a new rule as a shadow", func(c *Client) error {
			_, err := c.SetRule(t.Context(), "r", "", RuleChange{Shadow: &Candidate{Digest: "d"}})
			return err
		}, `PUT /api/rules/r {"shadow":{"digest":"d"}}`, "", key},
		{"a changed rule", func(c *Client) error {
			_, err := c.SetRule(t.Context(), "r", `"7"`, RuleChange{Active: "d", Config: json.RawMessage(`{"a":1}`), OnFailure: "allow", AllowOlder: true})
			return err
		}, `PUT /api/rules/r {"active":"d","config":{"a":1},"onFailure":"allow","allowOlder":true}`, `"7"`, key},
		{"a promotion", func(c *Client) error {
			_, err := c.Promote(t.Context(), "r", Promotion{To: "canary", Share: 100, Auto: true})
			return err
		}, `POST /api/rules/r/promote {"to":"canary","share":100,"auto":true}`, "", key},
		{"a promotion with limits", func(c *Client) error {
			_, err := c.Promote(t.Context(), "r", Promotion{Limits: &ticketing.RuleLimits{Fuel: 9}, Match: `"7"`})
			return err
		}, `POST /api/rules/r/promote {"limits":{"fuel":9}}`, `"7"`, key},
		{"a retirement", func(c *Client) error { _, err := c.Retire(t.Context(), "r", "*", ""); return err }, `DELETE /api/rules/r {}`, "*", key},
		{"a rollback", func(c *Client) error { _, err := c.Rollback(t.Context(), "r", "w"); return err }, `POST /api/rules/r/rollback {"why":"w"}`, "", key},
		{"logs", func(c *Client) error { _, err := c.RuleLogs(t.Context(), "r", 5); return err }, `GET /api/rules/r/logs?limit=5 `, "", keyless},
		{"statistics", func(c *Client) error { _, err := c.RuleStats(t.Context(), "r"); return err }, `GET /api/rules/r/stats `, "", keyless},
		{"usage", func(c *Client) error { _, err := c.Usage(t.Context()); return err }, `GET /api/plugins/usage `, "", keyless},
		{"history", func(c *Client) error { _, err := c.PluginHistory(t.Context(), "r", 5); return err }, `GET /api/plugins/r/history?limit=5 `, "", keyless},
		{"versions", func(c *Client) error { _, err := c.Versions(t.Context(), "r"); return err }, `GET /api/plugins/r/versions `, "", keyless},
		{"a trial", func(c *Client) error { _, err := c.Try(t.Context(), "r", Trial{Text: "x", Digest: "d"}); return err },
			`POST /api/rules/r/try {"text":"x","digest":"d"}`, "", key},
		{"a signature", func(c *Client) error { _, err := c.Sign(t.Context(), "r", d, "k", []byte{1, 2}); return err },
			fmt.Sprintf(`POST /api/plugins/r/signatures {"digest":%q,"key":"k","signature":"AQI="}`, d), "", key},
		{"a key", func(c *Client) error { return c.AddSigner(t.Context(), "ann", []byte{1}) }, `POST /api/signers {"name":"ann","publicKey":"AQ=="}`, "", key},
		{"a key that goes", func(c *Client) error { return c.RemoveSigner(t.Context(), "a/b") }, `DELETE /api/signers/a%2Fb `, "", key},
		{"keys", func(c *Client) error { _, err := c.Signers(t.Context()); return err }, `GET /api/signers `, "", keyless},
		{"a backtest", func(c *Client) error {
			_, err := c.StartBacktest(t.Context(), NewBacktest{Rule: "r", Digest: "d", Kinds: []string{"post"}, CPU: 0.5})
			return err
		}, `POST /api/backtests {"rule":"r","digest":"d","kinds":["post"],"cpu":0.5}`, "", key},
		{"backtests", func(c *Client) error { _, err := c.Backtests(t.Context(), 5); return err }, `GET /api/backtests?limit=5 `, "", keyless},
		{"one backtest", func(c *Client) error { _, err := c.Backtest(t.Context(), id); return err }, `GET /api/backtests/` + id.String() + ` `, "", keyless},
		{"a backtest that is cancelled", func(c *Client) error { _, err := c.CancelBacktest(t.Context(), id); return err }, `DELETE /api/backtests/` + id.String() + ` `, "", keyless},
		{"a replay", func(c *Client) error { _, err := c.Replay(t.Context(), id); return err }, `GET /api/decisions/` + id.String() + `/replay `, "", keyless},
		{"the format", func(c *Client) error { _, err := c.RaiseFormat(t.Context()); return err }, `POST /api/cluster/format `, "", key},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, a := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got := fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body); got != tc.want {
					t.Errorf("asked\n%s, want\n%s", got, tc.want)
				}
				if got := r.Header.Get("If-Match"); got != tc.match {
					t.Errorf("If-Match %q, want %q", got, tc.match)
				}
				if keyed := r.Header.Get("Idempotency-Key") != ""; keyed != tc.keyed {
					t.Errorf("with a key: %v, want %v", keyed, tc.keyed)
				}
				ok(`{}`)(w, r)
			})
			if err := tc.do(c); err != nil || a.asked != 1 {
				t.Errorf("%v after %d", err, a.asked)
			}
		})
	}
}

// TestRuleAsItIsCanBeSent: what the server says of a rule, sent back, changes nothing of it.
func TestRuleAsItIsCanBeSent(t *testing.T) {
	const rule = `{"name":"r","active":"d","version":"v3","config":{"a":1},"onFailure":"allow","scope":["post"],"signed":true,"limits":{"fuel":5},
		"shadow":{"digest":"e","version":"v4","config":{"b":2},"since":"2024-01-02T03:04:05Z"},
		"canary":{"digest":"f","version":"v5","config":{},"share":100,"auto":true,"minJudged":3,"since":"2024-01-02T03:04:05Z"},"etag":"\"9\""}`
	c, _ := serve(t, ok(rule))
	r, err := c.Rule(t.Context(), "r")
	if err != nil || r.ETag != `"9"` {
		t.Fatalf("%+v, %v", r, err)
	}
	sent, err := json.Marshal(r.Change())
	const want = `{"active":"d","config":{"a":1},"onFailure":"allow","scope":["post"],"shadow":{"digest":"e","config":{"b":2}},` +
		`"canary":{"digest":"f","config":{},"share":100,"auto":true,"minJudged":3},"limits":{"fuel":5},"signed":true}`
	if err != nil || string(sent) != want {
		t.Errorf("%s, want\n%s; %v", sent, want, err)
	}
}

// TestUploadThatIsTooLarge: what the server says of a module comes out, also if it reads nothing of it.
func TestUploadThatIsTooLarge(t *testing.T) {
	c, a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Error("the server was not asked")
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		fmt.Fprint(w, `{"status":413,"detail":"The body has at most 7 bytes here."}`)
	})
	_, _, err := c.Upload(t.Context(), "links", make([]byte, ticketing.MaxModule))
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusRequestEntityTooLarge || e.Detail != "The body has at most 7 bytes here." || a.asked != 1 {
		t.Errorf("%v after %d", err, a.asked)
	}
}

// TestFollowBacktest: progress comes in order, a lost connection is made again, and the end or the caller's error ends it.
func TestFollowBacktest(t *testing.T) {
	id := ticketing.NewID(3, time.UnixMilli(1_700_000_000_000), 1)
	stream := func(events ...string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/backtests/"+id.String()+"/events" {
				t.Errorf("asked %s", r.URL.Path)
			}
			w.Header().Set("Content-Type", "text/event-stream")
			for _, e := range events {
				fmt.Fprintf(w, "data: %s\n\n", e)
			}
		}
	}
	first := stream(`{"type":"progress","state":"running","done":1,"total":9}`)
	c, a := serve(t, first, stream(`{"type":"progress","state":"running","done":5,"total":9}`, `{"type":"end","state":"done","done":9,"total":9}`))
	var seen []string
	err := c.FollowBacktest(t.Context(), id, func(p BacktestProgress) error {
		seen = append(seen, fmt.Sprint(p.Done, p.State))
		return nil
	})
	if got := strings.Join(seen, " "); err != nil || got != "1running 5running 9done" || a.asked != 2 {
		t.Errorf("%q after %d, %v", got, a.asked, err)
	}
	enough := errors.New("enough")
	c, _ = serve(t, first)
	if err := c.FollowBacktest(t.Context(), id, func(BacktestProgress) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
}
