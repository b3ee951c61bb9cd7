package control_test

import (
	"testing"

	"ticketing"
)

// The cluster's format rises when the last member runs a program that knows a newer one, and not before. Afterwards a program that does not know
// it is refused, whether it starts or joins.
func TestFormatRisesWithTheLastMember(t *testing.T) {
	c, _ := founded(t, 3, posts)
	ctx := t.Context()
	raise := func() (int, error) { return c.RaiseFormat(ctx, ticketing.RaiseFormat{By: operator}) }
	j, err := c.Join(ctx, joining("n2", "token"))
	must(t, err)
	announce := func(newest int) error {
		return c.Announce(ctx, ticketing.AnnounceMember{Node: "n2", Incarnation: j.Incarnation, Address: "n2:1", Formats: ticketing.Formats{Oldest: 1, Newest: newest}})
	}
	_, err = raise()
	refused(t, err, ticketing.Conflict, "no newer one: n2.")
	_, err = c.RaiseFormat(ctx, ticketing.RaiseFormat{By: ticketing.Principal{Roles: ticketing.RoleUser}})
	refused(t, err, ticketing.Forbidden, "operator")
	must(t, announce(3))
	before := mapOf(t, c)
	if before.Format != 1 || before.Common() != 2 { // n1 knows 1 and 2
		t.Fatalf("format %d, common %d", before.Format, before.Common())
	}
	must(t, announce(1)) // the way back is open until the format is raised
	must(t, announce(3))
	for range 2 {
		if format, err := raise(); err == nil && format != 2 {
			t.Errorf("%d, %v", format, err)
		}
	}
	if m := mapOf(t, c); m.Format != 2 || m.Version != before.Version+3 {
		t.Errorf("format %d, version %d after %d", m.Format, m.Version, before.Version)
	}
	refused(t, announce(1), ticketing.Conflict, "is of format 2; the program on n2 knows the formats 1 to 1")
	_, err = c.Join(ctx, joining("n3", "another"))
	refused(t, err, ticketing.Conflict, "is of format 2; the program on n3 knows the formats 1 to 1")
}

// A cluster whose members all know the same is as it should be.
func TestFormatThatIsTheNewest(t *testing.T) {
	c, _ := founded(t, 1, posts)
	for range 2 {
		if format, err := c.RaiseFormat(t.Context(), ticketing.RaiseFormat{By: operator}); err != nil || format != 2 {
			t.Errorf("%d, %v", format, err)
		}
	}
}
