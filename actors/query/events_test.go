package query

import (
	"testing"

	"ticketing"
)

func TestCommentEvents(t *testing.T) {
	const none = "-"
	for _, tc := range []struct {
		name   string
		events []ticketing.EventData
		public string // what everybody reads
		author string // what the author reads, with the status
		count  uint32
		found  string // a word that finds it
	}{
		{"pending", []ticketing.EventData{created("one", 1)}, none, "one pending", 0, ""},
		{"approved", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved)}, "one", "one approved", 1, "one"},
		{"rejected", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Rejected)}, none, "one rejected", 0, ""},
		{"held", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Held)}, none, "one held", 0, ""},
		{"held, then approved", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Held), judged(1, 3, ticketing.Approved)}, "one", "one approved", 1, "one"},
		{"taken back", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved), judged(1, 3, ticketing.Rejected)}, none, "one rejected", 0, ""},
		{"shown again", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved), judged(1, 3, ticketing.Rejected), judged(1, 4, ticketing.Approved)}, "one", "one approved", 1, "one"},
		{"edited before approval", []ticketing.EventData{created("one", 1), edited("two", "", 2, 2, 0)}, none, "two pending", 0, ""},
		{"edited after approval", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved), edited("two", "one", 2, 3, 1)}, "one", "two pending", 1, "one"},
		{"the edit is approved", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved), edited("two", "one", 2, 3, 1), judged(2, 4, ticketing.Approved)}, "two", "two approved", 1, "two"},
		{"the edit is rejected", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved), edited("two", "one", 2, 3, 1), judged(2, 4, ticketing.Rejected)}, "one", "two rejected", 1, "one"},
		{"deleted", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved), deleted(3)}, none, none, 0, ""},
		{"late decision after deletion", []ticketing.EventData{created("one", 1), deleted(3), judged(1, 2, ticketing.Approved)}, none, none, 0, ""},
		{"later decision after deletion", []ticketing.EventData{created("one", 1), deleted(3), judged(1, 4, ticketing.Approved)}, none, none, 0, ""},
		{"late creation after deletion", []ticketing.EventData{deleted(3), created("one", 1)}, none, none, 0, ""},
		{"duplicate creation", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved), created("other", 1)}, "one", "one approved", 1, "one"},
		{"duplicate decision", []ticketing.EventData{created("one", 1), judged(1, 2, ticketing.Approved), judged(1, 2, ticketing.Approved)}, "one", "one approved", 1, "one"},
		{"late decision", []ticketing.EventData{created("one", 1), judged(1, 3, ticketing.Approved), judged(1, 2, ticketing.Rejected)}, "one", "one approved", 1, "one"},
		{"late edit", []ticketing.EventData{created("one", 1), edited("three", "", 3, 5, 0), edited("two", "", 2, 4, 0)}, none, "three pending", 0, ""},
		{"decision about an older revision", []ticketing.EventData{created("one", 1), edited("two", "", 2, 2, 0), judged(1, 3, ticketing.Approved)}, none, "two pending", 0, ""},
	} {
		for _, mode := range []string{"one batch", "one by one", "reopened"} {
			t.Run(tc.name+"/"+mode, func(t *testing.T) {
				p := withPost(t)
				if mode == "one batch" {
					push(t, p, fromComments, tc.events...)
				} else {
					for _, e := range tc.events {
						push(t, p, fromComments, e)
						if mode == "reopened" {
							p = reopen(t, p)
						}
					}
				}
				if got := read(t, p, ticketing.Viewer{}, false); got != tc.public {
					t.Errorf("everybody reads %q, want %q", got, tc.public)
				}
				if got := read(t, p, ticketing.Viewer{ID: bob.ID}, true); got != tc.author {
					t.Errorf("the author reads %q, want %q", got, tc.author)
				}
				if got := read(t, p, ticketing.Viewer{Moderates: true}, true); got != tc.author {
					t.Errorf("a moderator reads %q, want %q", got, tc.author)
				}
				if got := read(t, p, ticketing.Viewer{ID: ann.ID}, false); got != tc.public {
					t.Errorf("another user reads %q, want %q", got, tc.public)
				}
				th, _ := p.Thread(t.Context(), ticketing.Viewer{}, postID, ticketing.Page{})
				if th.Post.Comments != tc.count {
					t.Errorf("%d comments are counted, want %d", th.Post.Comments, tc.count)
				}
				for _, word := range []string{"one", "two", "three", "other"} {
					hits, err := p.Search(t.Context(), word, ticketing.Page{})
					if err != nil || len(hits.Hits) != map[bool]int{true: 1}[word == tc.found] {
						t.Errorf("searching %q finds %d: %v", word, len(hits.Hits), err)
					}
				}
			})
		}
	}
}

func reopen(t testing.TB, p *Projection) *Projection {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return openOn(t, p.db)
}

// read returns the text of the only comment, with its status if asked for.
func read(t testing.TB, p *Projection, v ticketing.Viewer, status bool) string {
	t.Helper()
	th, err := p.Thread(t.Context(), v, postID, ticketing.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if len(th.Comments) != 1 {
		return "-"
	}
	if c := th.Comments[0]; status {
		return c.Text + " " + c.Status.String()
	} else {
		return c.Text
	}
}

func TestPostEvents(t *testing.T) {
	put := func(title string, c ticketing.Content) *ticketing.PostEdited {
		return &ticketing.PostEdited{Post: thePost(title, c)}
	}
	judge := func(rev uint32, moved uint64, s ticketing.Status) *ticketing.PostModerated {
		p := thePost("", content(rev, moved, s, 0))
		return &ticketing.PostModerated{Ref: p.Ref(), Reason: "why"}
	}
	gone := thePost("", content(1, 9, ticketing.Approved, 0))
	gone.Deleted = true
	waiting := thePost("two", content(2, 3, ticketing.Pending, 1))
	waiting.ShownTitle, waiting.ShownBody = "one", "shown"
	for _, tc := range []struct {
		name           string
		events         []ticketing.EventData
		public, author string // titles in the feed
	}{
		{"pending", []ticketing.EventData{put("one", content(1, 1, ticketing.Pending, 0))}, "", "one"},
		{"approved", []ticketing.EventData{put("one", content(1, 1, ticketing.Pending, 0)), judge(1, 2, ticketing.Approved)}, "one", "one"},
		{"rejected", []ticketing.EventData{put("one", content(1, 1, ticketing.Pending, 0)), judge(1, 2, ticketing.Rejected)}, "", "one"},
		{"edited", []ticketing.EventData{&ticketing.PostEdited{Post: waiting}}, "one", "two"},
		{"the edit is held", []ticketing.EventData{&ticketing.PostEdited{Post: waiting}, judge(2, 4, ticketing.Held)}, "one", "two"},
		{"the edit is approved", []ticketing.EventData{&ticketing.PostEdited{Post: waiting}, judge(2, 4, ticketing.Approved)}, "two", "two"},
		{"taken back", []ticketing.EventData{put("one", content(1, 2, ticketing.Approved, 1)), judge(1, 3, ticketing.Rejected)}, "", "one"},
		{"deleted", []ticketing.EventData{put("one", content(1, 2, ticketing.Approved, 1)), &ticketing.PostDeleted{Post: gone}}, "", ""},
		{"late after deletion", []ticketing.EventData{&ticketing.PostDeleted{Post: gone}, put("one", content(1, 2, ticketing.Approved, 1)), judge(1, 3, ticketing.Approved)}, "", ""},
		{"late decision", []ticketing.EventData{put("one", content(1, 5, ticketing.Approved, 1)), judge(1, 4, ticketing.Rejected)}, "one", "one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := openEmpty(t)
			push(t, p, fromPosts, tc.events...)
			for v, want := range map[ticketing.Viewer]string{{}: tc.public, {ID: bob.ID}: tc.public, {ID: ann.ID}: tc.author, {Moderates: true}: tc.author} {
				page, err := p.Feed(t.Context(), v, ticketing.Page{})
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				for _, fp := range page.Posts {
					got += fp.Post.Title
				}
				if got != want {
					t.Errorf("%+v reads %q, want %q", v, got, want)
				}
				if _, err := p.Thread(t.Context(), v, postID, ticketing.Page{}); (ticketing.KindOf(err) == ticketing.NotFound) != (want == "") {
					t.Errorf("%+v opens the thread: %v", v, err)
				}
			}
		})
	}
}
