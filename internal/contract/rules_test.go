package contract

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// push uploads a module and makes it a rule.
func push(t *testing.T, op *client, name string, module []byte, settings map[string]any) string {
	t.Helper()
	r, err := op.do(t.Context(), "POST", "/api/plugins/"+name+"/versions", module)
	if err != nil || r.status != 201 && r.status != 200 {
		t.Fatalf("upload of %s: %v %s", name, err, r.raw)
	}
	body := map[string]any{"active": r.str("digest")}
	for k, v := range settings {
		body[k] = v
	}
	if r, err := op.do(t.Context(), "PUT", "/api/rules/"+name, body, "If-Match", "*"); err != nil || r.status != 200 && r.status != 201 {
		t.Fatalf("activating %s: %v %s", name, err, r.raw)
	}
	return r.str("digest")
}

// retireBuiltins leaves only what a test uploads.
func retireBuiltins(t *testing.T, op *client) {
	t.Helper()
	rules, _ := op.must(t, 200, "GET", "/api/rules", nil).body["items"].([]any)
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		name := fmt.Sprint(rule["name"])
		if r, err := op.do(t.Context(), "DELETE", "/api/rules/"+name, nil, "If-Match", "*"); err != nil || r.status >= 300 {
			t.Fatalf("retiring %s: %v %s", name, err, r.raw)
		}
	}
}

// decided posts a comment, and returns it with its decisions once it is decided.
func decided(t *testing.T, user *client, post, text string) (comment reply, decision map[string]any) {
	t.Helper()
	c := user.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": text})
	if c.str("status") != "pending" {
		t.Errorf("a new comment is %q", c.str("status"))
	}
	path := "/api/posts/" + post + "/comments/" + c.str("id")
	wait(t, "the comment is decided", func() bool {
		comment = user.must(t, 200, "GET", path, nil)
		return comment.str("status") != "pending"
	})
	ds := user.must(t, 200, "GET", "/api/decisions?subject="+c.str("id")+"&kind=comment", nil)
	items, _ := ds.body["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("decisions: %s", ds.raw)
	}
	decision, _ = items[0].(map[string]any)
	return comment, decision
}

// thread makes a user and an approved post.
func thread(t *testing.T, s *server, name string) (*client, string) {
	t.Helper()
	user := s.signUp(name)
	post := user.must(t, 201, "POST", "/api/posts", map[string]string{"title": "A thread", "body": "About nothing much."}).str("id")
	wait(t, "the post is decided", func() bool { return user.must(t, 200, "GET", "/api/posts/"+post, nil).str("status") != "pending" })
	return user, post
}

// Rules are really WebAssembly: with the built-ins retired an uploaded module alone decides, its digest is in the decision; a module that traps, or
// never ends, holds the item and slows nobody; with no rule at all a human decides.
func TestUploadedModuleDecides(t *testing.T) {
	s := serve(t, t.TempDir())
	user, post := thread(t, s, "ada")
	op := s.operator()
	retireBuiltins(t, op)
	if c, _ := decided(t, user, post, "nobody judges this"); c.str("status") != "held" {
		t.Errorf("without rules a comment is %s", c.str("status"))
	}
	for _, tc := range []struct {
		name, want string
		module     []byte
		settings   map[string]any
	}{
		{"approver", "approved", hosttest.ApproveAll, nil},
		{"rejecter", "rejected", hosttest.RejectAll, nil},
		{"trapper", "held", hosttest.Trap, nil},
		{"trapper", "rejected", hosttest.Trap, map[string]any{"onFailure": "reject"}},
		{"looper", "held", hosttest.Loop, nil},
	} {
		digest := push(t, op, tc.name, tc.module, tc.settings)
		began := time.Now()
		c, d := decided(t, user, post, "a remark about "+tc.name)
		if c.str("status") != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, c.str("status"), tc.want)
		}
		if text := fmt.Sprint(d["rules"]); !strings.Contains(text, digest) || !strings.Contains(text, tc.name) {
			t.Errorf("%s: the decision does not name its digest: %v", tc.name, d)
		}
		if g, _ := d["generation"].(float64); g < 3 {
			t.Errorf("%s: generation %v", tc.name, d["generation"])
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: %v until the decision", tc.name, took)
		}
		if r, err := op.do(t.Context(), "DELETE", "/api/rules/"+tc.name, nil, "If-Match", "*"); err != nil || r.status >= 300 {
			t.Fatalf("retiring %s: %v %s", tc.name, err, r.raw)
		}
	}
}

// Uploads that are no rules are refused with a reason, and nothing of them is kept.
func TestBadUploads(t *testing.T) {
	s := serve(t, t.TempDir())
	op, user := s.operator(), s.signUp("ada")
	for name, module := range map[string][]byte{
		"empty": {}, "text": []byte("#!/bin/sh\nrm -rf /"), "magic": []byte("\x00asm\x02\x00\x00\x00"), "cut": hosttest.RejectAll[:len(hosttest.RejectAll)/2],
		"hollow": []byte("\x00asm\x01\x00\x00\x00"), "big": append([]byte("\x00asm\x01\x00\x00\x00"), make([]byte, ticketing.UsualModule)...),
	} {
		r, err := op.do(t.Context(), "POST", "/api/plugins/"+name+"/versions", module)
		if err != nil || r.status != 400 && r.status != 413 || r.status == 400 && len(fmt.Sprint(r.body["errors"])) < 10 {
			t.Errorf("%s: %v status %d %s", name, err, r.status, r.raw)
		}
	}
	for _, name := range []string{"..%2f..%2fx", "UPPER", strings.Repeat("a", 60)} {
		if r, err := op.do(t.Context(), "POST", "/api/plugins/"+name+"/versions", hosttest.RejectAll); err != nil || r.status < 400 || r.status >= 500 {
			t.Errorf("name %q: %v status %d", name, err, r.status)
		}
	}
	if r, _ := user.do(t.Context(), "POST", "/api/plugins/mine/versions", hosttest.RejectAll); r.status != 403 {
		t.Errorf("an ordinary user's upload: status %d", r.status)
	}
	if r := op.must(t, 200, "GET", "/api/plugins", nil); strings.Contains(r.raw, "empty") || strings.Contains(r.raw, "hollow") || strings.Contains(r.raw, "mine") {
		t.Errorf("a refused module is listed: %s", r.raw)
	}
}

// Two operators who activate at once upon the same reading: one wins, the other gets 412.
func TestTwoOperatorsAtOnce(t *testing.T) {
	s := serve(t, t.TempDir())
	op := s.operator()
	push(t, op, "judge", hosttest.ApproveAll, nil)
	digest := op.must(t, 201, "POST", "/api/plugins/judge/versions", hosttest.RejectAll).str("digest")
	etag := op.must(t, 200, "GET", "/api/rules/judge", nil).str("etag")
	var won, stale atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			r, err := op.do(context.Background(), "PUT", "/api/rules/judge", map[string]any{"active": digest}, "If-Match", etag)
			switch {
			case err == nil && r.status == 200:
				won.Add(1)
			case err == nil && r.status == 412:
				stale.Add(1)
			default:
				t.Errorf("%v %d %s", err, r.status, r.raw)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || stale.Load() != 1 {
		t.Errorf("%d won, %d were told 412", won.Load(), stale.Load())
	}
}

// Throwing query's folder away gives the same feed.
func TestQueryIsRebuilt(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	user, post := thread(t, s, "ada")
	for i := range 30 {
		user.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": fmt.Sprintf("Remark %d.", i)})
	}
	user.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": "Check out my channel http://spam.example and SUBSCRIBE!!! subscribe subscribe"})
	op := s.operator()
	wait(t, "everything is decided", func() bool { return pending(t, op) == 0 })
	paths := []string{"/api/feed", "/api/feed/" + post + "?limit=100", "/api/search?q=remark", "/api/stats", "/api/tickets"}
	before := map[string]string{}
	for _, p := range paths {
		before[p] = op.must(t, 200, "GET", p, nil).raw
	}
	s.stop()
	if err := os.RemoveAll(dir + "/query"); err != nil {
		t.Fatal(err)
	}
	s = serve(t, dir)
	op = s.operator()
	for _, p := range paths {
		if after := op.must(t, 200, "GET", p, nil).raw; withoutCursor(after) != withoutCursor(before[p]) {
			t.Errorf("%s after a rebuild:\n%s\nbefore:\n%s", p, after, before[p])
		}
	}
}

func withoutCursor(s string) string {
	head, _, _ := strings.Cut(s, `"next":`)
	return head
}
