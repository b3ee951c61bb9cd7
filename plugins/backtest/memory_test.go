package backtest_test

import (
	"ticketing"
	"ticketing/plugins/memstate"
)

// memories are the memories of slots, all at once.
type memories map[ticketing.Slot]*memstate.State

func newMemory() memories { return memories{} }

func (m memories) of(item *ticketing.Item) *memstate.State {
	slot := item.Author.ID.Slot()
	if m[slot] == nil {
		m[slot] = memstate.New()
	}
	return m[slot]
}
