package query

import (
	"testing"

	"ticketing"
)

func TestCache(t *testing.T) {
	c := newCache[string](10)
	id := func(n int) ticketing.ID { return ticketing.NewID(0, began, uint64(n)) }
	_, ok, since := c.get(id(1))
	c.put(id(1), "new", 1)
	c.fill(id(1), "old", 1, since) // the reader had looked before the writer committed
	if v, _, _ := c.get(id(1)); ok || v != "new" {
		t.Errorf("there: %v, then %q", ok, v)
	}
	for i := range 100 {
		c.put(id(i+2), "x", 1)
		c.get(id(1)) // in use, so it stays
		if len(c.young)+len(c.old) > 12 {
			t.Fatalf("%d items are kept", len(c.young)+len(c.old))
		}
	}
	if v, _, _ := c.get(id(1)); v != "new" {
		t.Error("what is used was dropped")
	}
}
