package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ticketing"
)

// Join is what happened when one more node joined a cluster under load.
type Join struct {
	Replicas        int     `json:"replicas"`        // that it has got, without control's
	Seconds         float64 `json:"seconds"`         // from its first replica's placing to the last one's vote
	MB              float64 `json:"mb"`              // received meanwhile: snapshots, states for the copy of query, and entries, of which some are the load's
	MBPerSecond     float64 `json:"mbPerSecond"`     //
	Snapshots       float64 `json:"snapshots"`       // that it received
	SnapshotMB      float64 `json:"snapshotMB"`      //
	QueryMB         float64 `json:"queryMB"`         // of states for the copy of query
	StreamPerSecond float64 `json:"streamPerSecond"` // MB/s of one snapshot stream, from its beginning to its check
	RestorePerSec   float64 `json:"restorePerSec"`   // MB/s of putting a received snapshot in the state's place
	Steps           Steps   `json:"steps"`           // how long the parts of a move took
	Moves           []Move  `json:"moves"`           //
	CPUSeconds      float64 `json:"cpuSeconds"`      // of all servers, beyond what the load took before: the joined node's start and copy of query, too
	Leaders         int     `json:"leaders"`         // how often a shard got another leader meanwhile
	Before          Phase   `json:"before"`          // the same load without a joining node
	During          Phase   `json:"during"`
}

// join lets a further node join while the open loop goes on at the rate of an earlier phase.
func (b *bencher) join(ctx context.Context, before Phase) (*Join, error) {
	j := &Join{Before: before}
	p, err := b.f.add()
	if err != nil {
		return nil, err
	}
	finish := func() error { return nil }
	j.During, err = b.comments(ctx, "a node joins", phaseOptions{rate: before.Rate, duration: b.o.Duration, sampled: true,
		during: func(running context.Context) error {
			// It gets replicas long before it listens.
			joining, cancel := context.WithCancelCause(running)
			defer cancel(nil)
			started := make(chan struct{})
			go func() {
				defer close(started)
				if _, err := p.start(joining); err != nil {
					cancel(fmt.Errorf("%s: %w", p.name, err))
				}
			}()
			finish = b.profile(ctx, "join-") // it may last longer than the join
			err := b.received(joining, p, j, started)
			<-started
			return errors.Join(err, context.Cause(joining))
		}})
	j.CPUSeconds = beyond(before.Figures, j.During.Figures)
	return j, errors.Join(err, finish())
}

// received waits until a node has all its replicas, and notes what that took. Before started is closed, the node may accept a connection and not
// answer.
func (b *bencher) received(ctx context.Context, p *process, j *Join, started <-chan struct{}) error {
	var first, last, quiet time.Time
	seen := newMoves(p.name, time.Now())
	voters, read, counters := 0, 0, map[string]float64{}
	err := watch(ctx, b.w.operator, func(s ticketing.ClusterStatus) string {
		now := time.Now()
		seen.look(s, now)
		placed, have := replicasOf(s, p.name)
		if placed > 0 && first.IsZero() {
			first = now
		}
		if have != voters {
			voters, last = have, now
		}
		select {
		case <-started:
			if read != voters {
				read, counters = voters, p.read()
			}
		default:
		}
		if left := unsettled(s, len(b.f.nodes)); left != "" || have == 0 || have != placed {
			quiet = time.Time{}
			return fmt.Sprintf("%s has %d of %d replicas. %s", p.name, have, placed, left)
		}
		if quiet.IsZero() {
			quiet = now
		}
		if now.Sub(quiet) < quietFor {
			return "more replicas may come"
		}
		return ""
	})
	if err != nil {
		return err
	}
	j.fill(voters, last.Sub(first), counters)
	j.Moves, j.Leaders = seen.all(), seen.changes
	j.Steps = steps(j.Moves)
	return nil
}

// replicasOf counts a node's replicas, without control's, and those of them that vote.
func replicasOf(s ticketing.ClusterStatus, node string) (placed, voters int) {
	for _, g := range s.Groups {
		for _, r := range g.Replicas {
			if r.Node != node || g.Service == ticketing.ServiceControl {
				continue
			}
			placed++
			if r.Stage == ticketing.StageVoter {
				voters++
			}
		}
	}
	return placed, voters
}

// beyond returns the processor time that the servers used in a phase beyond what its requests would have cost in an earlier one.
func beyond(before, during Figures) float64 {
	return during.ServerCores*during.Seconds - ratio(during.Accepted, before.PerCPUSecond)
}

// fill computes the figures from the joined node's counters when it had its last replica.
func (j *Join) fill(replicas int, took time.Duration, c map[string]float64) {
	const mb = 1e6
	j.Replicas, j.Seconds = replicas, took.Seconds()
	j.Snapshots, j.SnapshotMB = c[metricSnapshots], c[metricSnapshotBytes]/mb
	j.QueryMB = c[metricCopiedBytes] / mb
	j.MB = j.SnapshotMB + j.QueryMB + c[metricLogBytes]/mb
	j.MBPerSecond = ratio(j.MB, j.Seconds)
	j.StreamPerSecond = ratio(j.SnapshotMB, c[metricSnapshotSeconds])
	j.RestorePerSec = ratio(j.SnapshotMB, c[metricRestoreSeconds])
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
