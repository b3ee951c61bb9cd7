package contract

import (
	"fmt"
	"strings"
	"testing"

	"ticketing/plugins/host/hosttest"
)

// items returns the items of a list.
func (r reply) items() (items []map[string]any) {
	list, _ := r.body["items"].([]any)
	for _, i := range list {
		m, _ := i.(map[string]any)
		items = append(items, m)
	}
	return items
}

// until reads a path until its status is as wanted.
func until(t *testing.T, c *client, path, want string) reply {
	t.Helper()
	var r reply
	wait(t, path+" is "+want, func() bool {
		var err error
		r, err = c.do(t.Context(), "GET", path, nil)
		return err == nil && r.str("status") == want
	})
	return r
}

// openTicket waits for the open ticket about a subject.
func openTicket(t *testing.T, c *client, subject string) (ticket map[string]any) {
	t.Helper()
	wait(t, "a ticket is open", func() bool {
		for _, i := range c.must(t, 200, "GET", "/api/tickets?state=open&limit=100", nil).items() {
			if i["subject"] == subject {
				ticket = i
				return true
			}
		}
		return false
	})
	return ticket
}

// What no rule decides becomes a ticket; a moderator's word travels through moderation back to the item; edits and deletions close tickets that
// have nothing left to decide.
func TestHumanDecides(t *testing.T) {
	s := serve(t, t.TempDir())
	ada, post := thread(t, s, "ada")
	bob, op := s.signUp("bob"), s.operator()
	retireBuiltins(t, op)
	push(t, op, "holder", hosttest.HoldAll, nil)
	path := "/api/posts/" + post + "/comments/"

	held := ada.must(t, 201, "POST", path[:len(path)-1], map[string]string{"text": "Please look at this."}).str("id")
	until(t, ada, path+held, "held")
	ticket := fmt.Sprint(openTicket(t, op, held)["id"])
	bob.must(t, 404, "GET", path+held, nil) // nobody else sees it, or its ticket
	bob.must(t, 404, "GET", "/api/tickets/"+ticket, nil)
	bob.must(t, 403, "POST", "/api/tickets/"+ticket+"/decide", map[string]string{"outcome": "approve"})
	op.must(t, 200, "POST", "/api/tickets/"+ticket+"/decide", map[string]string{"outcome": "approve", "note": "Fine."})
	until(t, bob, path+held, "approved")
	op.must(t, 409, "POST", "/api/tickets/"+ticket+"/decide", map[string]string{"outcome": "reject"})
	if ds := op.must(t, 200, "GET", "/api/decisions?kind=comment&subject="+held, nil).items(); len(ds) != 2 || ds[1]["ticket"] != ticket {
		t.Errorf("decisions: %v", ds)
	}

	// A report by somebody else, and the same again: one ticket; rejecting it takes the comment back.
	body := map[string]string{"kind": "report", "subjectKind": "comment", "subject": held, "postId": post, "text": "This is rude."}
	first := bob.must(t, 201, "POST", "/api/tickets", body).str("id")
	if again, err := bob.do(t.Context(), "POST", "/api/tickets", body); err != nil || again.str("id") != first {
		t.Errorf("a second report: %v %s", err, again.raw)
	}
	op.must(t, 200, "POST", "/api/tickets/"+first+"/decide", map[string]string{"outcome": "reject", "note": "It is rude indeed."})
	if r := until(t, ada, path+held, "rejected"); r.str("reason") != "It is rude indeed." {
		t.Errorf("the author reads %q", r.str("reason"))
	}
	bob.must(t, 404, "GET", path+held, nil)

	// An edit is a new revision with a decision and a ticket of its own; its stale version is refused.
	etag := ada.must(t, 200, "GET", path+held, nil).header.Get("ETag")
	ada.must(t, 428, "PATCH", path+held, map[string]string{"text": "Kinder."})
	ada.must(t, 200, "PATCH", path+held, map[string]string{"text": "Kinder."}, "If-Match", etag)
	ada.must(t, 412, "PATCH", path+held, map[string]string{"text": "Again."}, "If-Match", etag)
	until(t, ada, path+held, "held")
	second := fmt.Sprint(openTicket(t, op, held)["id"])

	// A deletion withdraws the comment and closes its ticket.
	etag = ada.must(t, 200, "GET", path+held, nil).header.Get("ETag")
	if r, err := ada.do(t.Context(), "DELETE", path+held, nil, "If-Match", etag); err != nil || r.status >= 300 {
		t.Fatalf("deleting: %v %s", err, r.raw)
	}
	ada.must(t, 404, "GET", path+held, nil)
	wait(t, "the ticket of the deleted comment is closed", func() bool {
		r := op.must(t, 200, "GET", "/api/tickets/"+second, nil)
		return r.str("state") == "closed" && r.str("outcome") == "withdrawn"
	})
	if r := bob.must(t, 200, "GET", "/api/feed/"+post, nil); strings.Contains(r.raw, held) {
		t.Errorf("the deleted comment is still shown: %s", r.raw)
	}
}

// A comment on a post that its shard has not heard of yet is accepted; on a rejected or deleted one it is not.
func TestCommentsOnPosts(t *testing.T) {
	s := serve(t, t.TempDir())
	ada := s.signUp("ada")
	for i := range 20 {
		post := ada.must(t, 201, "POST", "/api/posts", map[string]string{"title": fmt.Sprintf("Thread %d", i), "body": "About nothing much."}).str("id")
		ada.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": "At once."})
	}
	bad := ada.must(t, 201, "POST", "/api/posts", map[string]string{"title": "SUBSCRIBE", "body": "Check out my channel http://spam.example and SUBSCRIBE!!! subscribe subscribe"}).str("id")
	wait(t, "the post is not approved", func() bool {
		status := ada.must(t, 200, "GET", "/api/posts/"+bad, nil).str("status")
		return status == "rejected" || status == "held"
	})
	if ada.must(t, 200, "GET", "/api/posts/"+bad, nil).str("status") == "rejected" {
		wait(t, "the shard of the comments has heard of the rejection", func() bool {
			r, err := ada.do(t.Context(), "POST", "/api/posts/"+bad+"/comments", map[string]string{"text": "Too late."})
			return err == nil && r.status == 404
		})
	}
}

// A retried creation meets itself, also when both tries run at once; another body under the same key is refused.
func TestIdempotencyKey(t *testing.T) {
	s := serve(t, t.TempDir())
	ada, post := thread(t, s, "ada")
	path := "/api/posts/" + post + "/comments"
	answers := make(chan reply, 16)
	for range cap(answers) {
		go func() {
			r, _ := ada.do(t.Context(), "POST", path, map[string]string{"text": "Once."}, "Idempotency-Key", "key-00000001")
			answers <- r
		}()
	}
	ids := map[string]bool{}
	for range cap(answers) {
		if r := <-answers; r.status != 201 {
			t.Errorf("status %d %s", r.status, r.raw)
		} else {
			ids[r.str("id")] = true
		}
	}
	if len(ids) != 1 {
		t.Errorf("one key made %d comments", len(ids))
	}
	ada.must(t, 422, "POST", path, map[string]string{"text": "Something else."}, "Idempotency-Key", "key-00000001")
	a := ada.must(t, 201, "POST", "/api/posts", map[string]string{"title": "T", "body": "B."}, "Idempotency-Key", "key-00000002").str("id")
	if b := ada.must(t, 201, "POST", "/api/posts", map[string]string{"title": "T", "body": "B."}, "Idempotency-Key", "key-00000002").str("id"); a != b {
		t.Errorf("a retried post: %s and %s", a, b)
	}
}

// Parallel sign-ups with one e-mail make one account.
func TestOneEmailOneAccount(t *testing.T) {
	s := serve(t, t.TempDir())
	statuses := make(chan int, 40)
	for range cap(statuses) {
		go func() {
			r, _ := s.client().do(t.Context(), "POST", "/api/users/signup", map[string]string{"email": "Ada@Example.org", "name": "Ada", "password": "a long passphrase"})
			statuses <- r.status
		}()
	}
	count := map[int]int{}
	for range cap(statuses) {
		count[<-statuses]++
	}
	if count[201] != 1 || count[400]+count[503] != cap(statuses)-1 {
		t.Errorf("answers: %v", count)
	}
}
