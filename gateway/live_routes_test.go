package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// heldTicket opens a ticket about a comment, as the service would.
func (s *site) heldTicket(kind ticketing.TicketKind, comment, author ticketing.ID) ticketing.ID {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	t := &ticketing.Ticket{ID: ticketing.NewID(author.Slot(), s.clock.now(), entropy()), Kind: kind, State: ticketing.TicketOpen,
		Item: ticketing.KindComment, Subject: comment, Rev: 1, Author: author, Text: "held for a look", CreatedAt: s.clock.now(), Moved: 1}
	s.m.tickets = append(s.m.tickets, t)
	return t.ID
}

func TestTicketWork(t *testing.T) {
	s := newSite(t)
	ann, bob := s.signedIn("ann", 0), s.signedIn("bob", 0)
	mia, max := s.signedIn("mia", ticketing.RoleModerator), s.signedIn("max", ticketing.RoleModerator)
	post := ann.post("A title")
	comment := ann.comment(post, "Please look.")
	s.m.judge(comment, ticketing.Held, "a rule says so")
	path := "/api/tickets/" + s.heldTicket(ticketing.TicketHeld, comment, ann.user).String()

	for _, work := range []string{"claim", "release", "escalate", "decide"} {
		ann.do("POST", path+"/"+work, `{"text":"x"}`).want(403)
	}
	for _, work := range []string{"claim", "release", "notes", "escalate", "appeal"} {
		s.anonymous().do("POST", path+"/"+work, `{"text":"x"}`).want(401)
		mia.do("POST", "/api/tickets/nonsense/"+work, `{"text":"x"}`).want(404)
	}
	a := mia.do("POST", path+"/claim", "").want(200)
	by, _ := a.json()["claimedBy"].(map[string]any)
	if until, err := time.Parse(time.RFC3339, a.str("claimedUntil")); err != nil || by["name"] != "mia" || !until.Equal(s.clock.now().Add(ticketing.TicketLease)) {
		t.Errorf("%s", a.Body)
	}
	if a := max.do("POST", path+"/claim", "").want(409); !strings.Contains(string(a.Body), "mia") {
		t.Errorf("%s", a.Body)
	}
	mia.do("POST", path+"/notes", `{"text":""}`).want(400)
	mia.do("POST", path+"/notes", `{"text":"`+strings.Repeat("x", ticketing.MaxTicketText+1)+`"}`).want(400)
	mia.do("POST", path+"/notes", `{"text":"x","secret":1}`).want(400)
	mia.do("POST", path+"/notes", `{"text":"Only for us."}`).want(200)
	mia.do("POST", path+"/escalate", `{"text":"Ask Opal."}`).want(200)

	detail := max.do("GET", path, "").want(200)
	for _, part := range []string{"Only for us.", "Ask Opal.", `"claimedBy"`, `"item":{"comment":`, `"authorHistory"`, `"decisions":[`, `"postId":"` + post.String()} {
		if !strings.Contains(string(detail.Body), part) {
			t.Errorf("a moderator does not read %s: %s", part, detail.Body)
		}
	}
	own := string(ann.do("GET", path, "").want(200).Body)
	for _, part := range []string{"Only for us.", "Ask Opal.", "mia", "claimed", "authorHistory", "escalated"} {
		if strings.Contains(own, part) {
			t.Errorf("the author reads %s: %s", part, own)
		}
	}
	if !strings.Contains(own, "Please look.") || !strings.Contains(own, "a rule says so") {
		t.Errorf("the author does not read their item: %s", own)
	}
	bob.do("GET", path, "").want(404)

	s.clock.advance(ticketing.TicketLease)
	if a := max.do("GET", path, "").want(200); strings.Contains(string(a.Body), "claimedBy") {
		t.Errorf("a claim that is over: %s", a.Body)
	}
	max.do("POST", path+"/claim", "").want(200)
	max.do("POST", path+"/release", "").want(200)
}

func TestAppealRoutes(t *testing.T) {
	s := newSite(t)
	ann, bob := s.signedIn("ann", 0), s.signedIn("bob", 0)
	post := ann.post("A title")
	comment := ann.comment(post, "A text.")
	byItem := fmt.Sprintf(`{"kind":"appeal","commentId":%q,"text":"Look again."}`, comment)
	ann.do("POST", "/api/tickets", byItem).want(409) // it is approved
	bob.do("POST", "/api/tickets", byItem).want(403)
	s.m.judge(comment, ticketing.Rejected, "no")
	ann.do("POST", "/api/tickets", `{"kind":"appeal","text":"Look again."}`).want(400)
	ann.do("POST", "/api/tickets", fmt.Sprintf(`{"kind":"appeal","subject":%q,"commentId":%q,"text":"x"}`, comment, comment)).want(400)
	ann.do("POST", "/api/tickets", fmt.Sprintf(`{"kind":"appeal","postId":%q,"text":"x"}`, comment)).want(404)
	a := ann.do("POST", "/api/tickets", byItem).want(201)
	if a.str("kind") != "appeal" || a.str("subject") != comment.String() || a.str("postId") != post.String() || a.Header.Get("Location") != "/api/tickets/"+a.str("id") {
		t.Errorf("%s", a.Body)
	}
	path := "/api/tickets/" + s.heldTicket(ticketing.TicketHeld, comment, ann.user).String() + "/appeal"
	bob.do("POST", path, `{"text":"x"}`).want(404)
	ann.do("POST", path, `{"text":" "}`).want(400)
	ann.do("POST", path, `{"text":"Look again."}`).want(201)
	report := "/api/tickets/" + s.heldTicket(ticketing.TicketReport, comment, ann.user).String() + "/appeal"
	ann.do("POST", report, `{"text":"x"}`).want(404) // who was reported does not see the report
	support := ann.do("POST", "/api/tickets", `{"kind":"support","text":"Help."}`).want(201).str("id")
	ann.do("POST", "/api/tickets/"+support+"/appeal", `{"text":"x"}`).want(409)
	s.m.judge(post, ticketing.Rejected, "no")
	ann.do("POST", "/api/tickets", fmt.Sprintf(`{"kind":"appeal","postId":%q,"text":"Look again."}`, post)).want(201)
}

func TestTicketFilters(t *testing.T) {
	s := newSite(t)
	ann, mia := s.signedIn("ann", 0), s.signedIn("mia", ticketing.RoleModerator)
	for _, bad := range []string{"state=half", "kind=x", "author=x", "mine=1", "escalated=yes", "sort=random", "state=open&state=closed"} {
		mia.do("GET", "/api/tickets?"+bad, "").want(400)
	}
	mia.do("GET", "/api/tickets?state=open&kind=held&mine=true&escalated=false&sort=oldest&author="+ann.user.String(), "").want(200)
	ann.do("GET", "/api/tickets/counts", "").want(403)
	mia.do("GET", "/api/tickets/counts", "").want(200)
	for range 3 {
		ann.do("POST", "/api/tickets", `{"kind":"support","text":"Help."}`).want(201)
	}
	next := mia.do("GET", "/api/tickets?limit=1", "").want(200).str("next")
	mia.do("GET", "/api/tickets?limit=1&cursor="+next, "").want(200)
	mia.do("GET", "/api/tickets?limit=1&kind=held&cursor="+next, "").want(400) // a cursor fits its filter only
	ann.do("GET", "/api/tickets?limit=1&cursor="+next, "").want(400)
}

func TestOwnRoutes(t *testing.T) {
	s := newSite(t)
	ann, bob, mia := s.signedIn("ann", 0), s.signedIn("bob", 0), s.signedIn("mia", ticketing.RoleModerator)
	post := ann.post("A title")
	comment := ann.comment(post, "A text.")
	s.m.judge(comment, ticketing.Rejected, "no")
	for path, want := range map[string]int{
		"/api/users/me/posts": 1, "/api/users/me/posts?status=approved": 1, "/api/users/me/posts?status=held": 0,
		"/api/users/me/comments": 1, "/api/users/me/comments?status=rejected": 1, "/api/users/me/comments?status=approved": 0,
		"/api/users/me/notices": 1,
	} {
		s.anonymous().do("GET", path, "").want(401)
		if got := len(ann.do("GET", path, "").want(200).items()); got != want {
			t.Errorf("%s: %d items, want %d", path, got, want)
		}
		if got := len(bob.do("GET", path, "").want(200).items()); got != 0 {
			t.Errorf("%s: somebody else has %d items", path, got)
		}
	}
	ann.do("GET", "/api/users/me/posts?status=lost", "").want(400)
	notice := ann.do("GET", "/api/users/me/notices", "").want(200)
	n, _ := notice.items()[0].(map[string]any)
	if n["kind"] != "rejected" || n["reason"] != "no" || n["subjectKind"] != "comment" || n["subject"] != comment.String() || n["postId"] != post.String() || n["excerpt"] != "A text." || notice.json()["unread"] != 1.0 {
		t.Errorf("%s", notice.Body)
	}
	for _, bad := range []string{`{}`, `{"upTo":"yesterday"}`, `{"upTo":"2026-01-01T00:00:00Z","x":1}`} {
		ann.do("POST", "/api/users/me/notices/read", bad).want(400)
	}
	ann.do("POST", "/api/users/me/notices/read", fmt.Sprintf(`{"upTo":%q}`, n["at"])).want(204)
	if a := ann.do("GET", "/api/users/me/notices", "").want(200); a.json()["unread"] != 0.0 {
		t.Errorf("%s", a.Body)
	}
	history := "/api/users/" + ann.user.String() + "/history"
	ann.do("GET", history, "").want(403)
	mia.do("GET", "/api/users/"+comment.String()+"/history", "").want(404)
	if a := mia.do("GET", history, "").want(200); !strings.Contains(string(a.Body), `"rejected":1`) || !strings.Contains(string(a.Body), `"recent":[{"item":{"comment":`) {
		t.Errorf("%s", a.Body)
	}
}
