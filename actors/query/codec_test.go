package query

import (
	"testing"

	"ticketing"
)

// Totals from before there were tickets about rules read as having none.
func TestOldTotals(t *testing.T) {
	var now, got totals
	n := uint64(0)
	now.fields(func(v *uint64) { n++; *v = n })
	whole := now.append(nil)
	if err := got.decode(whole); err != nil || got != now {
		t.Errorf("%v: %+v, want %+v", err, got, now)
	}
	now.open[ticketing.TicketRule] = 0
	if err := got.decode(whole[:len(whole)-1]); err != nil || got != now {
		t.Errorf("old: %v: %+v, want %+v", err, got, now)
	}
	if err := got.decode(whole[:len(whole)-2]); err == nil {
		t.Error("what is too short was read")
	}
}

// A comment is read as it was written, whatever it has.
func TestCommentCodec(t *testing.T) {
	full := theComment("text", "shown", content(3, 4, ticketing.Held, 2))
	full.Parent, full.Answers, full.Reason, full.Locale, full.EditedAt, full.ReviewedAt = postID, ann.ID, "why", "pt-BR", began, began
	bare := theComment("text", "", content(1, 1, ticketing.Pending, 0))
	locale := bare
	locale.Locale = "de"
	for _, want := range []ticketing.Comment{full, bare, locale} {
		b := appendComment(nil, &want)
		if got, err := decodeComment(want.Post, want.ID, b); err != nil || got != want {
			t.Errorf("%v\n%+v, want\n%+v", err, got, want)
		}
		if _, err := decodeComment(want.Post, want.ID, b[:len(b)-1]); err == nil {
			t.Errorf("a value that is too short was read: %+v", want)
		}
	}
}
