package query

import (
	"fmt"

	"ticketing"
)

// standing is what counts and indexes depend on.
type standing struct {
	present bool // known and not deleted
	visible bool
	status  ticketing.Status
	shown   uint32
}

func standingOf(c *ticketing.Content) standing {
	return standing{!c.Deleted, c.Visible(), c.Status, c.ShownRev}
}

// moderated merges a decision that an item's owner took over about revision rev. It reports whether the texts of an older shown
// revision are no longer needed.
func moderated(c *ticketing.Content, rev uint32, moved uint64, status ticketing.Status, reason string) (clearShown bool, err error) {
	if rev > c.Rev {
		return false, fmt.Errorf("a decision about revision %d, but only %d are known", rev, c.Rev)
	}
	c.Moved = moved
	if c.Deleted || rev < c.Rev {
		return false, nil // the owner decides only about the present revision; nothing to show or hide
	}
	c.Status, c.Reason = status, reason
	switch {
	case status == ticketing.Approved:
		c.Reason, c.ShownRev = "", rev
		return true, nil
	case c.ShownRev == rev: // a human takes back what was approved
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
