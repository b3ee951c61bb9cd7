package host

import (
	"time"

	"ticketing"
)

// Loaded returns how many versions are loaded.
func (h *Host) Loaded() int {
	versions, _ := h.Holds()
	return versions
}

func newTestItem(text string) *ticketing.Item {
	return &ticketing.Item{Kind: ticketing.KindPost, ID: ticketing.ID{1}, Rev: 1, Text: text, At: time.Unix(1, 0)}
}
