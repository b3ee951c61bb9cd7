package gateway

import (
	"strings"
	"testing"
)

// A page that is kept for one viewer is not another's, and goes when something on it changes.
func TestKeptFeedIsTheViewers(t *testing.T) {
	s := newSite(t)
	ann, bob := s.signedIn("ann", 0), s.signedIn("bob", 0)
	ann.post("shown")
	sees := func(c *client, text string) bool {
		return strings.Contains(string(c.do("GET", "/api/feed", "").want(200).Body), text)
	}
	for range 2 { // made, and then kept
		if !sees(ann, "shown") || !sees(bob, "shown") || !sees(s.anonymous(), "shown") {
			t.Error("the post is missing")
		}
	}
	ann.do("POST", "/api/posts", `{"title":"pending","body":"b"}`).want(201)
	for range 2 {
		if !sees(ann, "pending") {
			t.Error("the author does not see the new post")
		}
		if sees(bob, "pending") || sees(s.anonymous(), "pending") {
			t.Error("others see it")
		}
	}
}
