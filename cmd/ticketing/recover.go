package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ticketing/config"
	"ticketing/internal/node"
)

// recovered is what cluster recover prints as JSON.
type recovered struct {
	node.Survivor
	Loss []string `json:"loss"` // in words, of each shard
	Done bool     `json:"done"`
}

func (a *app) clusterRecover() *cobra.Command {
	var file string
	var unsafe, empty, asJSON bool
	c := &cobra.Command{Use: "recover --data DIR", Short: "Make a stopped node the only one of a cluster that lost its other nodes for good", Args: between(0, 0),
		Long: `Without --unsafe it only prints what the node has of every shard, and what would be lost. With --unsafe the node goes on without the
others: what they acknowledged and this node lacks is lost. Choose the node with the highest entries. The other nodes must never start again
with the data that they have; empty their data directories, and let them join with new tokens.`}
	f := c.Flags()
	f.String("data", config.Default().Data, "the node's data directory")
	f.StringVar(&file, "config", "", "YAML file with the node's settings")
	f.BoolVar(&unsafe, "unsafe", false, "do it")
	f.BoolVar(&empty, "empty-missing", false, "let shards that this node does not have begin empty")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(file, os.Environ(), c.Flags())
		if err != nil {
			return err
		}
		cfg.Log = "error"
		opts := a.nodeOptions(cfg)
		s, err := node.Survey(cfg, opts)
		if err != nil {
			return err
		}
		if !unsafe {
			return a.printSurvivor(s, asJSON, false)
		}
		missing := node.RefuseMissing
		if empty {
			missing = node.EmptyMissing
		}
		done, err := node.Recover(c.Context(), cfg, opts, missing)
		if err != nil {
			return err
		}
		s.Number, s.Skipped, s.Kept = done.Number, done.Skipped, done.Kept // the rest is as it was before
		return a.printSurvivor(s, asJSON, true)
	}
	return c
}

func (a *app) printSurvivor(s node.Survivor, asJSON, done bool) error {
	if asJSON {
		out := recovered{Survivor: s, Done: done}
		for i := range s.Shards {
			out.Loss = append(out.Loss, s.Shards[i].Name()+": "+s.Shards[i].Loss())
		}
		return a.json(out)
	}
	rows := [][]string{}
	for i := range s.Shards {
		g := &s.Shards[i]
		vote := "no"
		if g.Voter {
			vote = "yes"
		}
		rows = append(rows, []string{g.Name(), g.Replica, vote, strings.Join(g.Others, " "), fmt.Sprint(g.Last), fmt.Sprint(g.Term), fmt.Sprint(g.Applied), g.Loss()})
	}
	if err := a.table([]string{"SHARD", "REPLICA", "VOTE", "OTHER VOTERS", "LAST", "TERM", "APPLIED", "WHAT MAY BE LOST"}, rows); err != nil {
		return err
	}
	if !done {
		_, err := fmt.Fprintf(a.out, "\nnothing was changed; to let the node %s go on alone, and lose that, add --unsafe\n", s.Node)
		return err
	}
	_, err := fmt.Fprintf(a.out, "\nthe node %s is the only one of the cluster %s now. %d events will not reach shards that should have had them; %d are lost whose effects stay.\n"+
		"Never start the other nodes with the data that they have.\n", s.Node, s.Cluster, s.Skipped, s.Kept)
	return err
}
