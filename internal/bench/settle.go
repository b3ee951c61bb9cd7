package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ticketing"
	"ticketing/client"
)

const (
	settleTimeout = 2 * time.Minute
	settleEvery   = 50 * time.Millisecond
	// quietFor is how long nothing may have changed until a cluster counts as settled: leaders are balanced a few at a time.
	quietFor = 3 * time.Second
)

// settled waits until every shard has all its replicas and a leader, and nothing moves any more.
func (f *fleet) settled(ctx context.Context, operator *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	last, since := "", time.Now()
	return watch(ctx, operator, func(s ticketing.ClusterStatus) string {
		if missing := unsettled(s, len(f.nodes)); missing != "" {
			since = time.Now()
			return missing
		}
		if now := leaders(s); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < quietFor {
			return "leaders still move"
		}
		return ""
	})
}

// watch looks at the cluster's status until cond, which says what is missing, is content.
func watch(ctx context.Context, operator *client.Client, cond func(ticketing.ClusterStatus) string) error {
	t := time.NewTicker(settleEvery)
	defer t.Stop()
	missing := "the cluster does not answer"
	for {
		if s, err := operator.Cluster(ctx); err == nil {
			if missing = cond(s); missing == "" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the cluster does not get ready: %s", missing), ctx.Err())
		case <-t.C:
		}
	}
}

// unsettled says what is left to do in a cluster of so many nodes.
func unsettled(s ticketing.ClusterStatus, nodes int) string {
	if len(s.Faults) > 0 {
		return strings.Join(s.Faults, " ")
	}
	if len(s.Nodes) < nodes {
		return fmt.Sprintf("%d of %d nodes are there", len(s.Nodes), nodes)
	}
	for _, n := range s.Nodes {
		if !n.Ready {
			return n.Node + " is not ready"
		}
	}
	if len(s.Groups) == 0 || len(s.Moves) > 0 {
		return fmt.Sprintf("%d replicas move", len(s.Moves))
	}
	for _, g := range s.Groups {
		voters := 0
		for _, r := range g.Replicas {
			if r.Stage == ticketing.StageVoter {
				voters++
			}
		}
		if !g.Serving || voters < min(s.Replication, nodes) {
			return fmt.Sprintf("%s/%d has %d voters", g.Service, g.Shard, voters)
		}
	}
	return ""
}

// leaders is who leads what.
func leaders(s ticketing.ClusterStatus) string {
	var b strings.Builder
	for _, g := range s.Groups {
		fmt.Fprintf(&b, "%s/%d %s ", g.Service, g.Shard, g.Leader)
	}
	return b.String()
}
