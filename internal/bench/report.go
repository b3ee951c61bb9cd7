package bench

import (
	"fmt"
	"io"
	"maps"
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
	{"accepted by CPU second", "%.0f", func(f Figures) float64 { return f.PerCPUSecond }},
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

// printRest writes what is not one phase.
func (r *Report) printRest(out io.Writer) error {
	for _, p := range r.Medians {
		printErrors(out, p)
	}
	for _, p := range r.Medians {
		if p.Load > 0 {
			fmt.Fprintf(out, "\n%s: load average %.1f", p.Name, p.Load)
		}
		for _, n := range p.Nodes {
			fmt.Fprintf(out, "\n  %s: %.2f cores, %.0f MiB (peak %.0f), %.0f entries", n.Node, n.Cores, n.RSS, n.PeakRSS, n.Entries)
		}
	}
	if p := r.Prefill; p != nil {
		fmt.Fprintf(out, "\nbefore: %.0f comments stored at %.0f/s visible", p.Figures.Accepted, p.Figures.VisiblePerSecond)
	}
	if s := r.Restarts; s != nil {
		fmt.Fprintf(out, "\nstart with %d comments: %.0f ms after a stop, %.0f ms after a kill", s.Comments, s.AfterStopMs, s.AfterKillMs)
	}
	r.printCluster(out)
	_, err := fmt.Fprintln(out)
	return err
}

func printErrors(out io.Writer, p Phase) {
	for _, k := range slices.Sorted(maps.Keys(p.Errors)) {
		fmt.Fprintf(out, "\n%s: %d × %s", p.Name, p.Errors[k], k)
	}
}

// printCluster writes what only a cluster has.
func (r *Report) printCluster(out io.Writer) {
	for i, one := range r.Alone {
		a, b := one.Figures, r.Medians[i].Figures
		fmt.Fprintf(out, "\n%s, %d nodes to one: %.0f to %.0f/s is %.0f %%; by CPU second %.0f to %.0f is %.0f %%; p99 %.1f to %.1f ms",
			one.Name, r.Nodes, b.PerSecond, a.PerSecond, 100*ratio(b.PerSecond, a.PerSecond),
			b.PerCPUSecond, a.PerCPUSecond, 100*ratio(b.PerCPUSecond, a.PerCPUSecond), b.P99, a.P99)
		if one.Load > 0 {
			fmt.Fprintf(out, " (load average %.1f then)", one.Load)
		}
	}
	if g := r.Generations; g != nil {
		for _, l := range []struct {
			name string
			Live
		}{{"compiled before", g.Compiled}, {"fresh", g.Fresh}} {
			fmt.Fprintf(out, "\na rule's new generation, module %s: answered after %.0f ms, judged by after %.0f ms", l.name, l.AnsweredMs, l.JudgedMs)
		}
		fmt.Fprintf(out, " (its upload: %.0f ms)", g.UploadMs)
	}
	if j := r.Join; j != nil {
		fmt.Fprintf(out, "\none more node: %d replicas in %.1f s, %.0f MB, %.1f MB/s; %.0f snapshots, %.0f MB, %.1f MB/s each, restored at %.1f MB/s; %.0f MB for its copy of query",
			j.Replicas, j.Seconds, j.MB, j.MBPerSecond, j.Snapshots, j.SnapshotMB, j.StreamPerSecond, j.RestorePerSec, j.QueryMB)
		fmt.Fprintf(out, "\n  a move: %.0f ms until it learns, %.0f ms until it votes, %.0f ms until the old replica is gone; %d changes of leaders; %.1f CPU seconds beyond the load's",
			j.Steps.Placing, j.Steps.Data, j.Steps.Removing, j.Leaders, j.CPUSeconds)
		a, b := j.Before.Figures, j.During.Figures
		fmt.Fprintf(out, "\n  at %.0f/s: accept p99 %.1f ms before, %.1f ms during; accept to visible p99 %.1f and %.1f ms (load average %.1f)",
			j.Before.Rate, a.P99, b.P99, a.VisibleP99, b.VisibleP99, j.During.Load)
		printErrors(out, j.During)
	}
}
