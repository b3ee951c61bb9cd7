package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
)

// watchEvery is how often a status is asked for again; nodes report once a second.
const watchEvery = time.Second

func (a *app) clusterStatus() *cobra.Command {
	var r remote
	var w waiting
	var asJSON, watch bool
	c := &cobra.Command{Use: "status", Short: "Say how the nodes and shards are", Args: between(0, 0)}
	r.flags(c)
	w.flags(c, "until nothing is wrong and no replica moves, before it is printed")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&watch, "watch", false, "keep it up to date on a terminal, until interrupted")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if _, ok := terminal(a.out); watch && (asJSON || !ok) {
			return errors.New("--watch is for people at a terminal")
		}
		api, err := r.connectToRead(c.Context())
		if err != nil {
			return err
		}
		if watch {
			return a.watchCluster(c.Context(), api)
		}
		if w.on {
			if err := a.wait(c.Context(), api, w, settled()); err != nil {
				return err
			}
		}
		s, err := api.Cluster(c.Context())
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(s)
		}
		return a.printCluster(s, time.Now())
	}
	return c
}

// watchCluster shows the status again and again in the same place. A server that does not answer for a while is waited for.
func (a *app) watchCluster(ctx context.Context, api *client.Client) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		s, err := api.Cluster(ctx)
		var refused *client.Error
		if errors.As(err, &refused) && refused.Status < 500 || ctx.Err() != nil {
			return err
		}
		text := new(strings.Builder)
		page := &app{out: text, err: a.err}
		if err != nil {
			fmt.Fprintln(text, oneLine(err))
		} else if err := page.printCluster(s, time.Now()); err != nil {
			return err
		}
		// Home, each line cleared to its end, and then the rest of the screen: nothing flickers.
		screen := "\x1b[H" + strings.ReplaceAll(text.String(), "\n", "\x1b[K\n") + "\x1b[J"
		if _, err := io.WriteString(a.out, screen); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// printCluster prints a status for people: what is wrong first.
func (a *app) printCluster(s ticketing.ClusterStatus, now time.Time) error {
	fmt.Fprintf(a.out, "cluster %s: %d nodes, %d shards of every service, up to %d voting replicas of each\n\n", printable(s.Cluster), len(s.Nodes), s.Shards, s.Replication)
	for _, f := range s.Faults {
		fmt.Fprintf(a.out, "! %s\n", printable(f))
	}
	if len(s.Faults) > 0 {
		fmt.Fprintln(a.out)
	}
	if s.Common > s.Format {
		fmt.Fprintf(a.out, "all programs know the format %d; the cluster is of format %d until ticketing cluster upgrade\n\n", s.Common, s.Format)
	}
	rows := make([][]string, len(s.Nodes))
	for i := range s.Nodes {
		rows[i] = nodeRow(&s.Nodes[i], now)
	}
	if err := a.table([]string{"NODE", "STATE", "ALIVE", "LEADS", "REPLICAS", "BEHIND", "USED", "FREE", "RULES", "VERSION", "ADDRESS"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	rows = make([][]string, len(s.Groups))
	for i := range s.Groups {
		rows[i] = shardRow(&s.Groups[i])
	}
	if err := a.table([]string{"SHARD", "LEADER", "REPLICAS"}, rows); err != nil || len(s.Moves) == 0 {
		return err
	}
	fmt.Fprintln(a.out)
	rows = make([][]string, len(s.Moves))
	for i, m := range s.Moves {
		rows[i] = []string{shardName(m.Service, m.Shard), m.Node, m.Stage.String(), strconv.FormatUint(m.Lag, 10)}
	}
	return a.table([]string{"MOVE", "NODE", "STAGE", "BEHIND"}, rows)
}

func nodeRow(n *ticketing.NodeStatus, now time.Time) []string {
	alive, rules := "yes", strconv.FormatUint(n.Generation, 10)
	switch {
	case !n.Alive && n.SeenAt.IsZero():
		alive = "no"
	case !n.Alive:
		alive = "no, since " + now.Sub(n.SeenAt).Round(time.Second).String()
	case !n.Ready:
		alive = "not ready"
	}
	if n.RuleError != "" {
		rules += " (not the newest)"
	}
	return []string{n.Node, n.State.String(), alive, strconv.Itoa(n.Leaders), strconv.Itoa(n.Replicas), strconv.FormatUint(n.Lag, 10),
		size(int64(n.DiskUsed)), size(int64(n.DiskFree)), rules, n.Version, n.Address}
}

// shardRow has the replicas as "n1, n2, n3 (learner, 300 behind)".
func shardRow(g *ticketing.ShardStatus) []string {
	leader := g.Leader
	switch {
	case leader == "":
		leader = "none"
	case !g.Serving:
		leader += " (not serving)"
	}
	replicas := make([]string, len(g.Replicas))
	for i, r := range g.Replicas {
		var notes []string
		if r.Stage != ticketing.StageVoter {
			notes = append(notes, r.Stage.String())
		}
		if !r.Alive {
			notes = append(notes, "silent")
		}
		if r.Lag > 0 {
			notes = append(notes, strconv.FormatUint(r.Lag, 10)+" behind")
		}
		replicas[i] = r.Node
		if len(notes) > 0 {
			replicas[i] += " (" + strings.Join(notes, ", ") + ")"
		}
	}
	return []string{shardName(g.Service, g.Shard), leader, strings.Join(replicas, ", ")}
}

func shardName(service string, shard int) string { return service + "/" + strconv.Itoa(shard) }
