package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ticketing/internal/bench"
)

// benchOptions are the flags that are not the load's.
type benchOptions struct {
	remote remote
	texts  string
	json   string
}

func (a *app) bench() *cobra.Command {
	var b benchOptions
	var o bench.Options
	c := &cobra.Command{Use: "bench [-- SERVE FLAGS…]", Short: "Measure a server under load", Args: between(0, -1),
		Long: `Without --url, starts this program as a server on a temporary data directory and stops it at the end; what follows -- goes to its
command line. Comments are written in a closed loop, then in an open loop at half the rate that was reached (or only in an open loop at
--rate), and the feed page is read in a closed loop. With --nodes, the servers are the nodes of a cluster, and the load is spread over
all of them.`}
	f := c.Flags()
	f.StringVar(&b.remote.url, "url", "", "a running server; needs an operator")
	f.StringVar(&b.remote.token, "token", "", "an operator's bearer token; also TICKETING_TOKEN")
	f.StringVar(&b.remote.email, "email", "", "an operator's e-mail, with the password in TICKETING_PASSWORD")
	f.IntVar(&o.Connections, "connections", 256, "connections")
	f.Float64Var(&o.Rate, "rate", 0, "comments a second, in an open loop")
	f.DurationVar(&o.Duration, "duration", 15*time.Second, "of each phase")
	f.DurationVar(&o.Warmup, "warmup", 2*time.Second, "load before anything is measured")
	f.IntVar(&o.Users, "users", 64, "authors")
	f.IntVar(&o.Posts, "posts", 64, "posts that are commented on")
	f.IntVar(&o.Prefill, "prefill", 0, "comments that are stored before anything is measured")
	f.IntVar(&o.Rules, "rules", 0, "let so many rules judge, each with 20 words, in the place of the built-in ones")
	f.IntVar(&o.Runs, "runs", 1, "repetitions; the table shows medians")
	f.IntVar(&o.Nodes, "nodes", 1, "nodes of a cluster on loopback; 1: a server that is alone")
	f.BoolVar(&o.Compare, "compare", true, "with several nodes, measure a server that is alone first")
	f.BoolVar(&o.Join, "join", false, "then let one more node join while the open loop goes on; use it with --prefill")
	f.IntVar(&o.Generations, "generations", 0, "then time so many changes of the rules, with a compiled and with a fresh module")
	f.StringVar(&o.Profiles, "profiles", "", "a directory for a CPU profile of every server under the first load, and while a node joins")
	f.StringVar(&o.Binary, "binary", "", "the program whose servers are measured; empty: this one")
	f.StringVar(&b.texts, "texts", filepath.Join("examples", "data", "*.csv"), "comment files whose texts are sent")
	f.StringVar(&b.json, "json", "", "write the report there as JSON; - prints it instead of the table")
	c.RunE = func(c *cobra.Command, args []string) error {
		o.ServerArgs = args
		return a.runBench(c.Context(), o, b)
	}
	return c
}

func (a *app) runBench(ctx context.Context, o bench.Options, b benchOptions) (err error) {
	o.URL, o.Log = strings.TrimRight(b.remote.url, "/"), a.err
	if err := o.Validate(); err != nil {
		return err
	}
	files, err := filepath.Glob(b.texts)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("--texts: there is no file %s", b.texts)
	}
	if o.Texts, err = bench.ReadTexts(files); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if o.URL != "" {
		if o.Operator, err = b.remote.connect(ctx); err != nil {
			return err
		}
	} else if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return err
		}
	}
	r, err := bench.Run(ctx, o, strings.Join(append([]string{"ticketing"}, os.Args[1:]...), " "))
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	if b.json == "-" {
		return a.json(r)
	}
	if b.json != "" {
		if err := writeReport(b.json, r); err != nil {
			return err
		}
	}
	return r.Print(a.out)
}

func writeReport(path string, r *bench.Report) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, cause(err))
	}
	return errors.Join(encode(f, r), f.Close())
}
