package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
)

// backtestFlags are what a backtest is asked for with.
type backtestFlags struct {
	config, from, to, html string
	kinds                  []string
	cpu                    float64
	detach                 bool
	labels                 labelFlags
}

func (a *app) pluginBacktest() *cobra.Command {
	var f backtestFlags
	c := a.pluginCommand("backtest NAME DIGEST|VERSION", "Try a version on what the server has decided so far", between(2, 2), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		n, err := f.request(ctx, a, api, args[0], args[1])
		if err != nil {
			return err
		}
		interrupts := make(chan os.Signal, 1)
		signal.Notify(interrupts, os.Interrupt) // before it is there: one that is not followed yet is cancelled, too
		defer signal.Stop(interrupts)
		b, err := startBacktest(ctx, api, n)
		if err != nil {
			return err
		}
		if f.detach {
			return a.printBacktest(b, f.html, asJSON)
		}
		interrupted, err := a.followBacktest(ctx, api, b.ID, interrupts)
		if err != nil {
			return err
		}
		if b, err = api.Backtest(ctx, b.ID); err != nil {
			return err
		}
		if err := a.printBacktest(b, f.html, asJSON); err != nil {
			return err
		}
		switch {
		case b.State == ticketing.BacktestDone:
			return nil
		case interrupted && b.State == ticketing.BacktestCancelled:
			return errInterrupted(fmt.Sprintf("the backtest %s is cancelled; ticketing plugin backtests %[1]s shows what it found until then", b.ID))
		}
		return fmt.Errorf("the backtest is %s: %s", b.State, b.Why)
	})
	c.Long = "Try a version on what the server has decided so far, without any effect, and compare its answers with what rules and people\n" +
		"decided, and with --labels with what is known of the items from elsewhere. A file of labels is CSV with a header. The items are named by their\n" +
		"ids in a column id, item or subject, or by the keys of their import in a column key; in the files of import youtube COMMENT_ID is found. Labels\n" +
		"are in a column label, class or spam: 1, true, yes, spam or bad, and 0, false, no, ham or good; a row without one counts for nothing. At most 50000\n" +
		"labels go with a backtest. The first Ctrl-C cancels the backtest on the server; a second one only leaves; the exit code is 130 then. With --detach the\n" +
		"command returns at once, and the backtest goes on. See plugin backtests, which cancels one, too."
	c.Flags().StringVar(&f.config, "config", "", "JSON file with the config to try; default: the rule's present one, or else what a built-in rule comes with")
	c.Flags().StringVar(&f.from, "from", "", "only decisions from this time on, as 2026-01-31 or 2026-01-31T12:00:00Z")
	c.Flags().StringVar(&f.to, "to", "", "only decisions before this time; default: now")
	c.Flags().StringSliceVar(&f.kinds, "kinds", nil, "only these kinds: post, comment; default: those of the rule")
	c.Flags().Float64Var(&f.cpu, "cpu", 0.25, "share of one core that it may use on the server, 0.01 to 1")
	c.Flags().StringArrayVar(&f.labels.files, "labels", nil, "CSV file with labels to compare with, - for standard input; may be given again")
	c.Flags().StringVar(&f.labels.columns.ID, "id", "", "column of the labels that holds the items' ids")
	c.Flags().StringVar(&f.labels.columns.Key, "key", "", "column of the labels that holds the keys under which the items were imported")
	c.Flags().StringVar(&f.labels.columns.Label, "label", "", "column of the labels that holds the label")
	c.Flags().StringVar(&f.html, "html", "", "write the report as a page into this file, too")
	c.Flags().BoolVar(&f.detach, "detach", false, "do not wait for its end")
	return c
}

// request makes the request out of the flags.
func (f *backtestFlags) request(ctx context.Context, a *app, api *client.Client, name, version string) (n client.NewBacktest, err error) {
	n = client.NewBacktest{Rule: name, Kinds: f.kinds, CPU: f.cpu}
	if f.html != "" && f.detach {
		return n, errors.New("--html needs the report: it does not go with --detach")
	}
	if f.cpu < 0.01 || f.cpu > 1 {
		return n, errors.New("--cpu is a number from 0.01 to 1")
	}
	if n.From, err = parseTime("--from", f.from); err != nil {
		return n, err
	}
	if n.To, err = parseTime("--to", f.to); err != nil {
		return n, err
	}
	if f.config != "" {
		if n.Config, err = readConfig(f.config); err != nil {
			return n, err
		}
	}
	if n.Labels, err = f.labels.read(a); err != nil {
		return n, err
	}
	n.Digest, err = findVersion(ctx, api, name, version)
	return n, err
}

// parseTime reads a day, or a time to the second, in UTC if it does not say.
func parseTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q is no time; write 2026-01-31 or 2026-01-31T12:00:00Z", flag, s)
}

// startBacktest asks for a backtest until an interrupt.
func startBacktest(ctx context.Context, api *client.Client, n client.NewBacktest) (client.Backtest, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	b, err := api.StartBacktest(ctx, n)
	if err != nil && ctx.Err() != nil {
		err = errInterrupted("the server had not answered yet; see ticketing plugin backtests for whether it has the backtest")
	}
	return b, err
}

// followBacktest shows how far a backtest is, until it has ended. The first interrupt cancels it, and waits until it has ended; the next one
// leaves it alone.
func (a *app) followBacktest(ctx context.Context, api *client.Client, id ticketing.ID, interrupts <-chan os.Signal) (interrupted bool, err error) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	cancelled, over := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-interrupts:
		case <-over:
			return
		}
		close(cancelled)
		fmt.Fprintln(a.err, "\nThe backtest is being cancelled. Ctrl-C once more leaves it as it is.")
		go func() {
			if _, err := api.CancelBacktest(ctx, id); err != nil && ctx.Err() == nil {
				fmt.Fprintln(a.err, "It could not be cancelled:", err)
			}
		}()
		select {
		case <-interrupts:
			leave()
		case <-over:
		}
	}()
	var bar progress
	err = api.FollowBacktest(ctx, id, func(p client.BacktestProgress) error {
		if p.Total > 0 && bar.bar == nil {
			bar = a.progress(int64(p.Total), "judging", "decisions")
		}
		if bar.bar != nil {
			bar.set(int(min(p.Done, p.Total)))
		}
		return nil
	})
	if bar.bar != nil {
		bar.done()
	}
	left := ctx.Err() != nil
	close(over)
	select {
	case <-cancelled:
		interrupted = true
	default:
	}
	if left {
		err = errInterrupted(fmt.Sprintf("the backtest %s may go on in the server; ticketing plugin backtests %[1]s shows it, and with --cancel it is ended", id))
	}
	return interrupted, err
}

func (a *app) pluginBacktests() *cobra.Command {
	var limit int
	var html string
	var cancel bool
	c := a.pluginCommand("backtests [ID]", "List backtests, or show one with its report", between(0, 1), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		if cancel && len(args) == 0 {
			return errors.New("--cancel needs the id of the backtest")
		}
		if len(args) == 1 {
			id, err := ticketing.ParseID(args[0])
			if err != nil {
				return err
			}
			if cancel {
				if _, err := api.CancelBacktest(ctx, id); err != nil {
					return err
				}
			}
			b, err := api.Backtest(ctx, id)
			if err != nil {
				return err
			}
			return a.printBacktest(b, html, asJSON)
		}
		if limit < 1 || limit > ticketing.MaxLimit {
			return errors.New("--limit is a number from 1 to 100")
		}
		all, err := api.Backtests(ctx, limit)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(all)
		}
		var rows [][]string
		for _, b := range all {
			rows = append(rows, []string{b.ID.String(), short(b.At), b.Rule, b.Version, string(b.ConfigFrom), string(b.State), fmt.Sprintf("%d/%d", b.Done, b.Total), b.Why})
		}
		return a.table([]string{"ID", "TIME", "NAME", "VERSION", "CONFIG", "STATE", "DONE", ""}, rows)
	})
	c.Flags().IntVar(&limit, "limit", ticketing.DefaultLimit, "how many, at most 100")
	c.Flags().StringVar(&html, "html", "", "write the report of one as a page into this file, too")
	c.Flags().BoolVar(&cancel, "cancel", false, "end it first, unless it has ended")
	return c
}

// printBacktest prints a backtest and its report, and writes it as a page if a file is named.
func (a *app) printBacktest(b client.Backtest, html string, asJSON bool) error {
	if html != "" {
		if err := writeBacktest(html, &b); err != nil {
			return err
		}
	}
	if asJSON {
		return a.json(b)
	}
	fmt.Fprintf(a.out, "%s  %s %s is %s, %d of %d decisions\n", b.ID, b.Rule, b.Version, b.State, b.Done, b.Total)
	if from := b.ConfigFrom.Words(); from != "" {
		if len(b.Config) > 0 {
			from += ": " + printable(excerpt(b.Config))
		}
		fmt.Fprintln(a.out, "config: "+from)
	}
	r := b.Report
	if r == nil {
		return nil
	}
	fmt.Fprintf(a.out, "%d judged, %d failed, %d of deleted items, %d from before there was evidence; %.1f µs and %d fuel each\n\n", r.Judged, r.Failed, r.Missing, r.Unseen, r.MeanMicros, r.MeanFuel)
	var rows [][]string
	for _, m := range r.Matrix {
		rows = append(rows, []string{m.Action.String(), number(m.Approved), number(m.Held), number(m.Rejected)})
	}
	if err := a.table([]string{"IT SAYS", "APPROVED NOW", "HELD NOW", "REJECTED NOW"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	rows = nil
	add := func(title string, c client.Confusion) {
		if c.Total() > 0 {
			rows = append(rows, []string{title, percent(c.Precision), percent(c.Recall), percent(c.F1), number(c.Total())})
		}
	}
	add("rules", r.Automatic)
	add("people", r.Human)
	add("labels", r.Labelled())
	if err := a.table([]string{"AGAINST", "PRECISION", "RECALL", "F1", "ITEMS"}, rows); err != nil {
		return err
	}
	if b.Labels > 0 {
		fmt.Fprintf(a.out, "\n%d labels were given; %d of the judged items have one\n", b.Labels, r.Labelled().Total())
	}
	a.printSamples("newly caught", r.NewCaught, r.Caught)
	a.printSamples("newly released", r.NewFree, r.Released)
	return nil
}

// fewSamples is how many samples the terminal shows; the page has them all.
const fewSamples = 5

func (a *app) printSamples(title string, n uint64, samples []ticketing.Sample) {
	fmt.Fprintf(a.out, "\n%d %s\n", n, title)
	for _, s := range samples[:min(len(samples), fewSamples)] {
		text := []rune(strings.Join(strings.Fields(s.Text), " "))
		if len(text) > 100 {
			text = append(text[:99], '…')
		}
		fmt.Fprintf(a.out, "  %s → %s  %s\n", s.Was, s.Now, printable(string(text)))
	}
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

//go:embed backtest.html
var reportPage string

// writeBacktest writes a backtest as a page that needs nothing else.
func writeBacktest(path string, b *client.Backtest) error {
	t, err := template.New("report").Funcs(template.FuncMap{"percent": percent, "short": short}).Parse(reportPage)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, cause(err))
	}
	if err := t.Execute(f, b); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
