package query

import (
	"fmt"
	"time"

	"ticketing"
)

// standing is what counts and indexes depend on.
type standing struct {
	present bool // known and not deleted
	visible bool
	status  ticketing.Status
	shown   uint32
	// when it was held or rejected, or decided after that, in ms; 0: never
	reviewed int64
}

func standingOf(c *ticketing.Content) standing {
	s := standing{present: !c.Deleted, visible: c.Visible(), status: c.Status, shown: c.ShownRev}
	if !c.ReviewedAt.IsZero() {
		s.reviewed = c.ReviewedAt.UnixMilli()
	}
	return s
}

// decided is a decision that an item's owner took over about a revision.
type decided struct {
	rev      uint32
	moved    uint64
	status   ticketing.Status
	reason   string
	reviewed time.Time
}

// moderated merges a decision that an item's owner took over. It reports whether the texts of an older shown
// revision are no longer needed.
func moderated(c *ticketing.Content, d decided) (clearShown bool, err error) {
	if d.rev > c.Rev {
		return false, fmt.Errorf("a decision about revision %d, but only %d are known", d.rev, c.Rev)
	}
	c.Moved = d.moved
	if c.Deleted || d.rev < c.Rev {
		return false, nil // the owner decides only about the present revision; nothing to show or hide
	}
	c.Status, c.Reason, c.ReviewedAt = d.status, d.reason, d.reviewed
	switch {
	case d.status == ticketing.Approved:
		c.Reason, c.ShownRev = "", d.rev
		return true, nil
	case c.ShownRev == d.rev: // a human takes back what was approved
		c.ShownRev = 0
	}
	return false, nil
}

// withdraw leaves of a deleted post what keeps late events from reviving it.
func withdrawPost(p *ticketing.Post) {
	p.Title, p.Body, p.ShownTitle, p.ShownBody, p.Reason, p.ShownRev = "", "", "", "", "", 0
}

func withdrawComment(c *ticketing.Comment) {
	c.Text, c.ShownText, c.Reason, c.ShownRev = "", "", "", 0
}

// shownPost is the text of a post that everybody sees and search finds.
func shownPost(p *ticketing.Post) (title, body string) {
	if p.ShownRev != p.Rev {
		return p.ShownTitle, p.ShownBody
	}
	return p.Title, p.Body
}

// shownComment is the text of a comment that everybody sees and search finds.
func shownComment(c *ticketing.Comment) string {
	if c.ShownRev != c.Rev {
		return c.ShownText
	}
	return c.Text
}
