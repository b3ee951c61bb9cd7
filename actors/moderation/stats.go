package moderation

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// whichStats asks one shard, whose slots it names, for a rule's statistics.
type whichStats struct {
	Rule  string         `cbor:"1,keyasint"`
	First ticketing.Slot `cbor:"2,keyasint"`
	End   ticketing.Slot `cbor:"3,keyasint"` // exclusive
}

// read returns what was counted, stored or not. The shard may have rows in other slots than its first from when there were more shards.
func (t *tally) read(v *shard.View, q *whichStats) ([]ticketing.VersionStats, error) {
	all := map[statsID]*ticketing.VersionStats{}
	for slot := q.First; slot < q.End; slot++ {
		v.Scan(shard.KeyAt(tableStats, slot, []byte(q.Rule), []byte{0}), func(_ shard.Key, decode func(any)) bool {
			var s storedStats
			decode(&s)
			add(row(all, statsID{s.Stats.Rule, s.Stats.Digest, s.Stats.Role}), &s.Stats)
			return true
		})
	}
	t.turn(v)
	fresh := t.open
	if !t.flushed {
		fresh = t.sums()
	}
	for id, more := range fresh {
		if id.rule == q.Rule {
			add(row(all, id), more)
		}
	}
	return sorted(all), nil
}

// sorted lists statistics, those that began last first.
func sorted(all map[statsID]*ticketing.VersionStats) []ticketing.VersionStats {
	list := make([]ticketing.VersionStats, 0, len(all))
	for _, s := range all {
		slices.SortStableFunc(s.Samples, func(a, b ticketing.StatsSample) int { return a.At.Compare(b.At) })
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b ticketing.VersionStats) int {
		return cmp.Or(b.Since.Compare(a.Since), slices.Compare(a.Digest[:], b.Digest[:]), cmp.Compare(a.Role, b.Role))
	})
	return list
}

// Stats implements ticketing.ModerationService.
func (c Client) Stats(ctx context.Context, rule string) ([]ticketing.VersionStats, error) {
	n := len(c.sys.Shards(Name))
	parts, errs := make([][]ticketing.VersionStats, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			first := slotOf(i, n)
			parts[i], errs[i] = system.Query[[]ticketing.VersionStats](ctx, c.sys, Name, first, opStats, &whichStats{rule, first, slotOf(i+1, n)})
		})
	}
	wg.Wait()
	all := map[statsID]*ticketing.VersionStats{}
	for i := range parts {
		if errs[i] != nil {
			return nil, ticketing.Wrap("moderation.Stats", errs[i])
		}
		for j := range parts[i] {
			s := &parts[i][j]
			add(row(all, statsID{s.Rule, s.Digest, s.Role}), s)
		}
	}
	return sorted(all), nil
}

// FlushStats makes a shard store what it has counted, before its leader hands over or stops. What it counts in the next half a minute it stores
// with each decision, so that nothing is lost with the leadership.
func (c Client) FlushStats(ctx context.Context, index int) error {
	first := slotOf(index, len(c.sys.Shards(Name)))
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, first, opFlushStats, &flushStats{First: first})
	return ticketing.Wrap("moderation.FlushStats", err)
}
