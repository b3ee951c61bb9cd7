package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
)

// decideTimeout bounds how long the demo waits without anything being decided.
const decideTimeout = 60 * time.Second

func (a *app) demo() *cobra.Command {
	var data string
	var asJSON bool
	c := &cobra.Command{Use: "demo [FILE…]", Short: "Judge labelled YouTube comments and compare with the labels", Args: between(0, -1),
		Long: `Starts a server in this process, imports comment files of the YouTube Spam Collection (by default examples/data/*.csv), waits until the
rules have judged every comment, and compares with CLASS: a comment that is rejected or held counts as caught.`}
	c.Flags().StringVar(&data, "data", "", "data directory that is kept; default: a temporary one")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, files []string) (err error) {
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop)
		if len(files) == 0 {
			if files, err = filepath.Glob(filepath.Join("examples", "data", "*.csv")); err != nil || len(files) == 0 {
				return errors.New("there are no files examples/data/*.csv here; name some")
			}
		}
		return a.runDemo(ctx, files, data, asJSON)
	}
	return c
}

func (a *app) runDemo(ctx context.Context, files []string, data string, asJSON bool) (err error) {
	videos, err := a.readVideos(files)
	if err != nil {
		return err
	}
	l, err := a.openLocal(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	s, err := a.judge(ctx, l.api, videos)
	if err != nil {
		return err
	}
	if asJSON {
		return a.json(s)
	}
	if err := a.printScores(s, len(videos)); err != nil {
		return err
	}
	if data != "" {
		fmt.Fprintf(a.out, "\nTo look around: ticketing serve --dev --data %s\n", data)
	}
	return nil
}

// judge imports the videos, waits for the decisions, and compares.
func (a *app) judge(ctx context.Context, api *client.Client, videos []video) (*scores, error) {
	start := time.Now()
	im, err := a.importVideos(ctx, api, videos)
	sum, ferr := im.finish(ctx)
	if err = errors.Join(err, ferr); err != nil {
		return nil, err
	}
	for _, f := range sum.Faults {
		fmt.Fprintf(a.err, "%s:%d: %s\n", f.File, f.Line, printable(f.Error))
	}
	if err := a.decided(ctx, api, uint64(im.comments())); err != nil {
		return nil, err
	}
	took := time.Since(start).Seconds()
	s, err := a.compare(ctx, im, videos)
	if err == nil {
		s.New = sum.Comments.New
		s.complete(took)
	}
	return s, err
}

// decided waits until no comment is pending, and that many at least are decided.
func (a *app) decided(ctx context.Context, api *client.Client, want uint64) error {
	bar := a.progress(int64(want), "deciding", "comments")
	defer bar.done()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	last, moved := uint64(0), time.Now()
	for {
		t, err := api.Stats(ctx)
		if err != nil {
			return err
		}
		pending, done := t.Comments["pending"], t.Comments["approved"]+t.Comments["rejected"]+t.Comments["held"]
		bar.set(int(min(done, want)))
		if pending == 0 && done >= want {
			return nil
		}
		if done != last {
			last, moved = done, time.Now()
		}
		if time.Since(moved) > decideTimeout {
			return fmt.Errorf("%d comments are still undecided, and nothing moves", pending)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// compare fetches the decisions and counts them.
func (a *app) compare(ctx context.Context, im *importer, videos []video) (*scores, error) {
	s, total := newScores(), 0
	for _, v := range videos {
		total += len(v.rows)
	}
	bar := a.progress(int64(total), "comparing", "comments")
	defer bar.done()
	for _, v := range videos {
		for _, r := range v.rows {
			bar.add(1)
			id, ok := im.commentID(r)
			if !ok {
				continue // a bad row
			}
			found, err := im.api.Decisions(ctx, id)
			if err != nil {
				return nil, err
			}
			d, ok := automatic(found)
			if !ok {
				return nil, fmt.Errorf("the comment %s was not decided by rules", id)
			}
			s.add(r.Spam, d)
		}
	}
	return s, nil
}

// automatic returns the rules' decision about the first revision.
func automatic(all []ticketing.Decision) (ticketing.Decision, bool) {
	for _, d := range all {
		if d.By.IsZero() && d.Rev == 1 {
			return d, true
		}
	}
	return ticketing.Decision{}, false
}
