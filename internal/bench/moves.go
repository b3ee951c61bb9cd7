package bench

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ticketing"
)

// Move is what became of one replica of a node that joined, in milliseconds from the join's beginning. It is seen by looking at the cluster's
// status again and again, so it is exact to about a twentieth of a second.
type Move struct {
	Shard   string  `json:"shard"`
	Placed  float64 `json:"placed"`            // the map has it
	Learner float64 `json:"learner,omitempty"` // its group has it, so that data are sent
	Voter   float64 `json:"voter,omitempty"`   // it has everything, and a vote
	Over    float64 `json:"over,omitempty"`    // the replica in whose place it came has left
}

// Steps are the medians of the time between the marks of moves, in milliseconds.
type Steps struct {
	Placing  float64 `json:"placing"`  // placed to learner
	Data     float64 `json:"data"`     // learner to voter
	Removing float64 `json:"removing"` // voter to over
}

// moves watches how a node gets its replicas, and who leads what.
type moves struct {
	node    string
	begun   time.Time
	seen    map[string]*Move
	led     map[string]string // by shard
	changes int               // of leaders
}

func newMoves(node string, begun time.Time) *moves {
	return &moves{node: node, begun: begun, seen: map[string]*Move{}, led: map[string]string{}}
}

// look notes what has changed.
func (m *moves) look(s ticketing.ClusterStatus, now time.Time) {
	at := milliseconds(now.Sub(m.begun))
	for _, g := range s.Groups {
		name := fmt.Sprintf("%s/%02d", g.Service, g.Shard)
		if g.Leader != "" && m.led[name] != g.Leader {
			if m.led[name] != "" {
				m.changes++
			}
			m.led[name] = g.Leader
		}
		i := slices.IndexFunc(g.Replicas, func(r ticketing.ReplicaStatus) bool { return r.Node == m.node })
		if i < 0 || g.Service == ticketing.ServiceControl {
			continue
		}
		mv := m.seen[name]
		if mv == nil {
			mv = &Move{Shard: name, Placed: at}
			m.seen[name] = mv
		}
		stage := g.Replicas[i].Stage
		if mv.Learner == 0 && stage != ticketing.StageAdding {
			mv.Learner = at
		}
		if mv.Voter == 0 && stage == ticketing.StageVoter {
			mv.Voter = at
		}
		if mv.Over == 0 && mv.Voter != 0 && len(g.Replicas) <= s.Replication {
			mv.Over = at
		}
	}
}

// all returns the moves in the order in which they began.
func (m *moves) all() []Move {
	var out []Move
	for _, name := range slices.Sorted(maps.Keys(m.seen)) {
		out = append(out, *m.seen[name])
	}
	slices.SortStableFunc(out, func(a, b Move) int { return int(a.Placed - b.Placed) })
	return out
}

// steps returns the medians of moves that came to their end.
func steps(all []Move) (s Steps) {
	var placing, data, removing []float64
	for _, m := range all {
		if m.Over > 0 {
			placing, data, removing = append(placing, m.Learner-m.Placed), append(data, m.Voter-m.Learner), append(removing, m.Over-m.Voter)
		}
	}
	if len(placing) > 0 {
		s = Steps{middle(placing), middle(data), middle(removing)}
	}
	return s
}

// Second is one second of a load.
type Second struct {
	Accepted float64 `json:"accepted"`
	P99      float64 `json:"p99"` // ms, by when the requests should have been sent
	Max      float64 `json:"max"`
}

// seconds collects latencies by the second in which requests should have been sent.
type seconds struct {
	mu  sync.Mutex
	all []*recorder
}

func (s *seconds) record(since, took time.Duration) {
	s.mu.Lock()
	for len(s.all) <= int(since/time.Second) {
		s.all = append(s.all, newRecorder())
	}
	r := s.all[since/time.Second]
	s.mu.Unlock()
	r.record(0, took)
}

// figures returns them second by second, when nobody records any more.
func (s *seconds) figures() (out []Second) {
	for _, r := range s.all {
		h := r.merged()
		out = append(out, Second{float64(h.TotalCount()), ms(h, 99), ms(h, 100)})
	}
	return out
}

// milliseconds is a time as figures have it.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
