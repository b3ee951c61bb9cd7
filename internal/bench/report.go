package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// rows are the table's lines: a figure with its unit.
var rows = []struct {
	name   string
	format string
	value  func(Figures) float64
}{
	{"accepted/s", "%.0f", func(f Figures) float64 { return f.PerSecond }},
	{"visible/s", "%.0f", func(f Figures) float64 { return f.VisiblePerSecond }},
	{"accepted", "%.0f", func(f Figures) float64 { return f.Accepted }},
	{"  approved", "%.0f", func(f Figures) float64 { return f.Approved }},
	{"  rejected", "%.0f", func(f Figures) float64 { return f.Rejected }},
	{"  held", "%.0f", func(f Figures) float64 { return f.Held }},
	{"failed", "%.0f", func(f Figures) float64 { return f.Failed }},
	{"accept p50, ms", "%.2f", func(f Figures) float64 { return f.P50 }},
	{"  p99", "%.2f", func(f Figures) float64 { return f.P99 }},
	{"  p99.9", "%.2f", func(f Figures) float64 { return f.P999 }},
	{"  max", "%.2f", func(f Figures) float64 { return f.Max }},
	{"accept to visible p50, ms", "%.2f", func(f Figures) float64 { return f.VisibleP50 }},
	{"  p99", "%.2f", func(f Figures) float64 { return f.VisibleP99 }},
	{"  p99.9", "%.2f", func(f Figures) float64 { return f.VisibleP999 }},
	{"  max", "%.2f", func(f Figures) float64 { return f.VisibleMax }},
	{"  samples", "%.0f", func(f Figures) float64 { return f.VisibleSamples }},
	{"drained after, ms", "%.0f", func(f Figures) float64 { return f.DrainMs }},
	{"server CPU, cores", "%.2f", func(f Figures) float64 { return f.ServerCores }},
	{"generator CPU, cores", "%.2f", func(f Figures) float64 { return f.ClientCores }},
	{"server RSS, MiB", "%.0f", func(f Figures) float64 { return f.ServerRSS }},
	{"  peak", "%.0f", func(f Figures) float64 { return f.ServerPeakRSS }},
	{"fsyncs", "%.0f", func(f Figures) float64 { return f.Fsyncs }},
	{"Raft entries", "%.0f", func(f Figures) float64 { return f.Entries }},
	{"commands per entry", "%.1f", func(f Figures) float64 { return f.CommandsPerEntry }},
}

// Print writes the medians as a table.
func (r *Report) Print(out io.Writer) error {
	fmt.Fprintf(out, "%s\n%d cores, %s, %s %s; medians of %d runs\n%s\n\n", r.Command, r.Machine.Cores, r.Machine.CPU, r.Machine.Go,
		r.Machine.OS, len(r.Runs), r.Note)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }
	head, second := []string{""}, []string{""}
	for _, p := range r.Medians {
		head = append(head, p.Name)
		kind := fmt.Sprintf("%d connections", p.Connections)
		if p.Rate > 0 {
			kind = fmt.Sprintf("%.0f/s", p.Rate)
		}
		second = append(second, kind)
	}
	line(head...)
	line(second...)
	for _, row := range rows {
		cells, any := []string{row.name}, false
		for _, p := range r.Medians {
			v := row.value(p.Figures)
			any = any || v != 0
			cell := fmt.Sprintf(row.format, v)
			if v == 0 {
				cell = "-"
			}
			cells = append(cells, cell)
		}
		if any {
			line(cells...)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return r.printRest(out)
}

func (r *Report) printRest(out io.Writer) error {
	for _, p := range r.Medians {
		var kinds []string
		for k := range p.Errors {
			kinds = append(kinds, k)
		}
		slices.Sort(kinds)
		for _, k := range kinds {
			fmt.Fprintf(out, "\n%s: %d × %s", p.Name, p.Errors[k], k)
		}
	}
	if p := r.Prefill; p != nil {
		fmt.Fprintf(out, "\nbefore: %.0f comments stored at %.0f/s visible", p.Figures.Accepted, p.Figures.VisiblePerSecond)
	}
	if s := r.Restarts; s != nil {
		fmt.Fprintf(out, "\nstart with %d comments: %.0f ms after a stop, %.0f ms after a kill", s.Comments, s.AfterStopMs, s.AfterKillMs)
	}
	_, err := fmt.Fprintln(out)
	return err
}
