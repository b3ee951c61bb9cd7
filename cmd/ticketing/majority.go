package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ticketing"
	"ticketing/client"
)

// An election takes some seconds. A cluster whose control has no leader for longer has lost its majority, and refuses every write until it is back;
// to sign in is a write, too.
const (
	majorityPatience = 6 * time.Second
	majorityEvery    = 250 * time.Millisecond
	majorityAnswer   = 2 * time.Second // how long a server may take to say who leads
)

// errNoMajority is what a command ends with that would have to wait for other nodes.
type errNoMajority struct {
	url        string
	leaderless int
}

func (e errNoMajority) Error() string {
	return fmt.Sprintf("no majority: %s knows no leader of %d shards, control among them, so nobody can sign in and nothing can be changed. "+
		"Bring the other nodes back. With a TICKETING_TOKEN from before, cluster status shows what this node knows. "+
		"If the others will never come back, see ticketing cluster recover --help", e.url, e.leaderless)
}

// led asks whether control has a leader. A server that cannot say is not in the way: the command's own request finds out more.
func led(ctx context.Context, api *client.Client) (leaderless int, yes bool) {
	ctx, cancel := context.WithTimeout(ctx, majorityAnswer)
	defer cancel()
	shards, err := api.Leaderless(ctx)
	none := func(name string) bool { return strings.HasPrefix(name, ticketing.ServiceControl+"/") }
	return len(shards), err != nil || !slices.ContainsFunc(shards, none)
}

// withMajority does what needs a majority, and ends it with errNoMajority when control has had no leader for too long meanwhile. If it has none
// at the beginning, it is waited for.
func (r *remote) withMajority(ctx context.Context, api *client.Client, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ready := make(chan struct{})
	go r.watchMajority(ctx, api, cancel, ready)
	select {
	case <-ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := do(ctx)
	var lost errNoMajority
	if err != nil && errors.As(context.Cause(ctx), &lost) {
		return lost
	}
	return err
}

// watchMajority looks until ctx ends whether control is led. It closes ready when it is for the first time.
func (r *remote) watchMajority(ctx context.Context, api *client.Client, lost context.CancelCauseFunc, ready chan struct{}) {
	tick := time.NewTicker(majorityEvery)
	defer tick.Stop()
	since := time.Now()
	for ctx.Err() == nil {
		count, yes := led(ctx, api)
		if yes {
			since = time.Now()
			if ready != nil {
				close(ready)
				ready = nil
			}
		} else if time.Since(since) > majorityPatience {
			lost(errNoMajority{r.url, count})
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
