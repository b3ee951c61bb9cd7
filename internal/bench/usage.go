package bench

import (
	"bufio"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used so far.
type usage struct {
	cpu       time.Duration
	rss, peak float64            // MiB
	counters  map[string]float64 // the server's own, each summed over its labels
}

// ticksPerSecond is USER_HZ, which Linux fixes at 100 for programs.
const ticksPerSecond = 100

// usage reads /proc, and the server's own counters. What cannot be read stays 0: a server elsewhere has none of it.
func (p *process) usage() (u usage) {
	if p == nil || p.cmd == nil {
		return u
	}
	base := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	if b, err := os.ReadFile(base + "/stat"); err == nil {
		_, after, _ := strings.Cut(string(b), ") ") // the name before may hold spaces
		if f := strings.Fields(after); len(f) > 12 {
			user, _ := strconv.ParseInt(f[11], 10, 64)
			system, _ := strconv.ParseInt(f[12], 10, 64)
			u.cpu = time.Duration(user+system) * time.Second / ticksPerSecond
		}
	}
	if b, err := os.ReadFile(base + "/status"); err == nil {
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			kb, _ := strconv.ParseFloat(f[1], 64)
			switch f[0] {
			case "VmHWM:":
				u.peak = kb / 1024
			case "VmRSS:":
				u.rss = kb / 1024
			}
		}
	}
	u.counters = p.read()
	return u
}

// resetPeak makes the kernel forget the highest memory use so far.
func (p *process) resetPeak() {
	if p != nil && p.cmd != nil {
		_ = os.WriteFile("/proc/"+strconv.Itoa(p.cmd.Process.Pid)+"/clear_refs", []byte("5"), 0)
	}
}

// The counters that the figures are made of.
const (
	metricFsyncs   = "ticketing_store_fsyncs_total"
	metricEntries  = "ticketing_shard_entries_total"
	metricCommands = "ticketing_shard_commands_total"

	metricSnapshots       = "ticketing_replica_snapshots_received_total"
	metricSnapshotBytes   = "ticketing_replica_snapshot_received_bytes_total"
	metricSnapshotSeconds = "ticketing_replica_snapshot_received_seconds_total"
	metricRestoreSeconds  = "ticketing_replica_snapshot_restored_seconds_total"
	metricLogBytes        = "ticketing_replica_log_bytes_total"
	metricCopiedBytes     = "ticketing_query_copied_bytes_total"
)

// read asks the admin listener for the server's counters.
func (p *process) read() map[string]float64 {
	sums := map[string]float64{}
	c := &http.Client{Timeout: 5 * time.Second}
	resp, err := c.Get(p.adminURL + "/metrics")
	if err != nil {
		return sums
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return sums
	}
	sc := bufio.NewScanner(resp.Body)
	for sc.Scan() {
		if name, value, ok := metricLine(sc.Text()); ok {
			sums[name] += value
		}
	}
	return sums
}

// metricLine splits a line of Prometheus' text format, such as name{label="x"} 1.5e+06.
func metricLine(line string) (name string, value float64, ok bool) {
	if strings.HasPrefix(line, "#") {
		return "", 0, false
	}
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", 0, false
	}
	value, err := strconv.ParseFloat(line[i+1:], 64)
	name, _, _ = strings.Cut(line[:i], "{")
	return name, value, err == nil
}
