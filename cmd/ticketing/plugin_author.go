package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/internal/authoring"
)

func (a *app) pluginNew() *cobra.Command {
	var lang string
	c := &cobra.Command{Use: "new NAME", Short: "Make a directory with a rule that works", Args: between(1, 1)}
	c.Flags().StringVar(&lang, "lang", "go", "language: "+strings.Join(authoring.Languages(), " or "))
	c.RunE = func(_ *cobra.Command, args []string) error {
		files, err := authoring.New(args[0], lang)
		if err != nil {
			return err
		}
		for _, f := range files {
			fmt.Fprintln(a.out, filepath.Join(args[0], f))
		}
		_, err = fmt.Fprintf(a.out, "\nNext: ticketing plugin test %s\n", args[0])
		return err
	}
	return c
}

func (a *app) pluginBuild() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "build [DIR]", Short: "Build a rule with its language's own tools", Args: between(0, 1)}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		b, err := authoring.Build(c.Context(), dirOf(args))
		if err != nil {
			return a.toolError(err)
		}
		if asJSON {
			return a.json(b)
		}
		_, err = fmt.Fprintf(a.out, "%s: %d bytes\n%s\n", b.Path, b.Bytes, b.Digest)
		return err
	}
	return c
}

func dirOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// toolError prints what a compiler said as it said it, over as many lines as that takes.
func (a *app) toolError(err error) error {
	var tool *authoring.ToolError
	if !errors.As(err, &tool) {
		return err
	}
	fmt.Fprintln(a.err, "ticketing: "+tool.Error())
	return errReported
}

func (a *app) pluginTest() *cobra.Command {
	var asJSON, verbose bool
	var data authoring.Data
	c := &cobra.Command{Use: "test [DIR|FILE]", Short: "Run a rule's golden tests, and try it on labelled texts", Args: between(0, 1)}
	f := c.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVarP(&verbose, "verbose", "v", false, "print what the rule logged in every golden test, not only in those that fail")
	f.StringArrayVar(&data.Files, "data", nil, "CSV file with labelled texts; may be given again")
	f.StringVar(&data.Text, "text", "CONTENT", "column of the text; HTML entities in it are resolved")
	f.StringVar(&data.Label, "label", "CLASS", "column of the label: 1, true, yes or spam should be stopped")
	f.StringVar(&data.Author, "author", "", "column of the author; default: every row has another one")
	f.StringVar(&data.Config, "config", "", "JSON file with the config to try; default: config.json beside the rule")
	c.RunE = func(c *cobra.Command, args []string) error {
		var labelled *authoring.Data
		if len(data.Files) > 0 {
			labelled = &data
			var p *progress
			data.Seen = func(done, rows int) {
				if p == nil {
					started := a.progress(int64(rows), "judging", "texts")
					p = &started
				}
				if p.set(done); done == rows {
					p.done()
				}
			}
		}
		r, err := authoring.Test(c.Context(), dirOf(args), labelled)
		if err != nil {
			return a.toolError(err)
		}
		if asJSON {
			err = a.json(r)
		} else {
			err = a.printTest(&r, verbose)
		}
		if err == nil && (r.Failed > 0 || r.Data != nil && r.Data.Failed > 0) {
			err = errReported
		}
		return err
	}
	return c
}

func (a *app) printTest(r *authoring.Report, verbose bool) error {
	if err := a.printCases(r.Golden, verbose); err != nil || r.Data == nil {
		return err
	}
	d := r.Data
	fmt.Fprintf(a.out, "\n%d texts, %d of them to be stopped; %d caught, %d missed, %d wrongly stopped, %d passed\n\n", d.Rows, d.Bad, d.Caught, d.Missed, d.Wrong, d.Passed)
	for _, m := range []struct {
		name  string
		value float64
	}{{"precision", d.Precision}, {"recall", d.Recall}, {"F1", d.F1}} {
		fmt.Fprintf(a.out, "%-9s  %s %s\n", m.name, bar(m.value), percent(m.value))
	}
	fmt.Fprintf(a.out, "\nper text: %d units of fuel (at most %d), %v\n", d.Fuel, d.MaxFuel, d.Took.Round(100*time.Nanosecond))
	for _, list := range []struct {
		name  string
		texts []string
	}{{"wrongly stopped", d.WrongSamples}, {"missed", d.MissedSamples}} {
		for _, t := range list.texts {
			fmt.Fprintf(a.out, "%s: %s\n", list.name, printable(t))
		}
	}
	if d.Failed > 0 {
		_, err := fmt.Fprintf(a.out, "%s: on %d texts, which are counted as stopped (%s)\n", a.colour(red, "the rule failed"), d.Failed, printable(strings.Join(d.Failures, "; ")))
		return err
	}
	return nil
}

// printCases prints golden tests with verdict, fuel on a fresh instance and on one that has judged the others, and time; then why tests failed,
// what the rule logged in them, or in all, and what it asked for in vain.
func (a *app) printCases(cases []authoring.Case, verbose bool) error {
	if len(cases) == 0 {
		_, err := fmt.Fprintln(a.out, "no golden tests")
		return err
	}
	var rows [][]string
	var denied []string
	failed, remembers := 0, false
	for _, c := range cases {
		state, used := "ok", ""
		if !c.Passed {
			state = "FAIL"
			failed++
		}
		if c.Used > 0 {
			used = strconv.FormatUint(c.Used, 10)
		}
		rows = append(rows, []string{state, c.Name, verdict(&c.Outcome), strconv.FormatUint(c.Outcome.Fuel, 10), used, c.Took.Round(100 * time.Nanosecond).String()})
		remembers = remembers || c.Remembers
		denied = append(denied, c.Denied...)
	}
	if err := a.table([]string{"", "GOLDEN TEST", "VERDICT", "FUEL", "LATER", "TIME"}, rows); err != nil {
		return err
	}
	for i := range cases {
		a.printCase(&cases[i], verbose)
	}
	if remembers {
		fmt.Fprintln(a.out, "\nit remembers something between items, such as a variable or, in Go, the order of a map; what it may remember it keeps with counters and values")
	}
	if len(denied) > 0 {
		slices.Sort(denied)
		fmt.Fprintf(a.out, "\nit asks for fields that the manifest does not name, and does not get them: %s\n", strings.Join(slices.Compact(denied), ", "))
	}
	sum := a.colour(green, fmt.Sprintf("%d passed", len(cases)-failed))
	if failed > 0 {
		sum += ", " + a.colour(red, fmt.Sprintf("%d failed", failed))
	}
	_, err := fmt.Fprintln(a.out, "\n"+sum)
	return err
}

// printCase prints why a golden test failed, and what the rule logged in it.
func (a *app) printCase(c *authoring.Case, verbose bool) {
	if c.Passed && (!verbose || len(c.Log) == 0) {
		return
	}
	name := printable(c.Name)
	if !c.Passed {
		name = a.colour(red, name)
	}
	fmt.Fprintln(a.out, "\n"+name)
	if !c.Passed {
		fmt.Fprintf(a.out, "  want %s\n  got  %s\n", printable(c.Want), printable(c.Got))
	}
	for _, l := range c.Log {
		fmt.Fprintf(a.out, "  log  %s: %s\n", l.Level, printable(l.Text))
	}
}

// verdict is an outcome in a few words.
func verdict(o *ticketing.RuleOutcome) string {
	switch {
	case o.Failure != "":
		return "failed: " + o.Failure
	case o.Abstain:
		return "abstains"
	}
	text := o.Action.String()
	if o.Score > 0 {
		text += " " + strconv.Itoa(int(o.Score))
	}
	if len(o.Labels) > 0 {
		text += " (" + strings.Join(o.Labels, ", ") + ")"
	}
	return text
}

func (a *app) pluginInspect() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "inspect FILE", Short: "Say what a module is, and whether a server would take it", Args: between(1, 1)}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		in, err := authoring.Inspect(c.Context(), args[0])
		if err != nil {
			return err
		}
		if asJSON {
			err = a.json(in)
		} else {
			err = a.printInspection(&in)
		}
		if err == nil && (!in.Admitted || in.Failed > 0) {
			err = errReported
		}
		return err
	}
	return c
}

func (a *app) printInspection(in *authoring.Inspection) error {
	state := a.colour(green, "admitted")
	if !in.Admitted {
		state = a.colour(red, "refused") + ": " + printable(in.Refusal)
	}
	fmt.Fprintf(a.out, "%s: %s\n\n", in.Path, state)
	rows := [][]string{{"digest", in.Digest.String()}, {"bytes", strconv.Itoa(in.Bytes)}, {"functions", strconv.Itoa(in.Functions)},
		{"memory", fmt.Sprintf("%d pages of 64 KiB", in.Memory)}}
	if m := in.Manifest; m != nil {
		rows = append(rows, []string{"name", m.Name + " " + m.Version}, []string{"description", m.Description}, []string{"contract", m.ABI},
			[]string{"fields", strings.Join(m.Fields, " ")}, []string{"may use", strings.Join(m.Capabilities, " ")})
	}
	rows = append(rows, []string{"needs", strings.Join(in.Needs, " ")}, []string{"imports", imports(in.Imports)}, []string{"exports", strings.Join(in.Exports, " ")})
	if l := in.Limits; l != nil {
		rows = append(rows, []string{"limits", limitsText(*l)})
	}
	if err := a.table(nil, rows); err != nil {
		return err
	}
	if err := a.printGaps(in.Gaps); err != nil || len(in.Golden) == 0 {
		return err
	}
	fmt.Fprintln(a.out)
	return a.printCases(in.Golden, false)
}

// imports lists functions by module.
func imports(list []authoring.Import) string {
	var names []string
	for _, i := range list {
		names = append(names, i.Module+"."+i.Name)
	}
	return strings.Join(names, " ")
}
