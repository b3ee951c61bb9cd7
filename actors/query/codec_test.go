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
