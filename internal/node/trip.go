package node

import (
	"context"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control"
)

// tripPatience is how long a node tries to tell control of a version that failed too often; after that the breaker counts anew.
const tripPatience = time.Minute

// trips are the versions that breakers of this node gave up and control does not know of yet: one entry for each, so they are bounded by
// what the rules use.
type trips struct {
	mu   sync.Mutex
	open map[ticketing.RuleTrip]time.Time // by the trip without its cause; held: mu
	why  map[ticketing.RuleTrip]string    // held: mu
	wake chan struct{}                    // has room for one; held: mu
}

// add takes a trip. It does not block: whoever calls it is judging.
func (t *trips) add(trip ticketing.RuleTrip) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.make()
	key := trip
	key.Cause = ""
	if _, waits := t.open[key]; !waits {
		t.open[key], t.why[key] = time.Now(), trip.Cause
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// held: mu
func (t *trips) make() {
	if t.wake == nil {
		t.open, t.why, t.wake = map[ticketing.RuleTrip]time.Time{}, map[ticketing.RuleTrip]string{}, make(chan struct{}, 1)
	}
}

func (t *trips) woken() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.make()
	return t.wake
}

// pending returns what control is to be told.
func (t *trips) pending() (all []control.Quarantine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, at := range t.open {
		q := control.Quarantine{Meta: ticketing.Meta{At: at.UTC().Truncate(time.Millisecond)}, Trip: key}
		q.Trip.Cause = t.why[key]
		all = append(all, q)
	}
	return all
}

func (t *trips) done(trip ticketing.RuleTrip) {
	t.mu.Lock()
	defer t.mu.Unlock()
	trip.Cause = ""
	delete(t.open, trip)
	delete(t.why, trip)
}

// tripRetry is how long a node waits before it tells control again.
const tripRetry = 500 * time.Millisecond

// runTrips brings failures to control until ctx ends, and the rules without the version to the shards. Control decides whether it is new.
func (m *ruleManager) runTrips(ctx context.Context) {
	woken := m.trips.woken()
	retry := time.NewTicker(tripRetry)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-retry.C:
		}
		for _, q := range m.trips.pending() {
			err := m.giveUp(ctx, q)
			if err == nil || m.now().Sub(q.At) > tripPatience {
				m.trips.done(q.Trip)
			}
			if err != nil && ctx.Err() == nil {
				m.log.Error("a failing version of a rule could not be put into quarantine", "rule", q.Trip.Rule, "digest", q.Trip.Digest, "error", err)
			}
		}
	}
}

// giveUp puts a version into quarantine. It does not wait for a change that an operator is about: that one is prepared again upon this. What
// does not reach a shard now is brought to it by the leader.
func (m *ruleManager) giveUp(ctx context.Context, q control.Quarantine) error {
	if m.platform() != nil { // items still get the last good version's verdict, or the failure policy's
		m.log.Warn("a version of a rule is to be given up, and cannot be put into quarantine before the cluster's format is raised", "rule", q.Trip.Rule,
			"digest", q.Trip.Digest, "cause", q.Trip.Cause)
		return nil
	}
	set, err := m.control.Quarantine(ctx, q)
	if err != nil {
		return err
	}
	m.log.Warn("a version of a rule is given up", "rule", q.Trip.Rule, "digest", q.Trip.Digest, "role", q.Trip.Role, "cause", q.Trip.Cause, "generation", set.Generation)
	if err := m.engine.Prepare(ctx, set); err != nil {
		return err
	}
	return m.distribute(ctx, set)
}
