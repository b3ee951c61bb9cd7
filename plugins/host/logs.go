package host

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"ticketing"
)

// Bounds of what is kept of the lines that rules log.
const (
	keepLines   = 200     // of each rule
	keepText    = 1 << 10 // bytes of a line
	keepRules   = 2 * ticketing.MaxRules
	linesSecond = 100 // of one judge's rule
)

var levelNames = [...]string{"debug", "info", "warn", "error"}

// A logs holds the newest lines of each rule. It is safe for concurrent use.
type logs struct {
	log   *slog.Logger
	mu    sync.Mutex
	rules map[string]*ring // held: mu
}

// A ring holds the newest lines of one rule.
type ring struct {
	lines []ticketing.RuleLog
	next  int // where the next line goes, once there are keepLines
}

func newLogs(log *slog.Logger) *logs { return &logs{log: log, rules: map[string]*ring{}} }

func (l *logs) add(line ticketing.RuleLog) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("rule", "rule", line.Rule, "version", line.Version, "level", line.Level, "item", line.Item, "line", line.Text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rules[line.Rule]
	if r == nil {
		if len(l.rules) >= keepRules {
			l.dropOldest()
		}
		r = &ring{}
		l.rules[line.Rule] = r
	}
	if len(r.lines) < keepLines {
		r.lines = append(r.lines, line)
		return
	}
	r.lines[r.next] = line
	r.next = (r.next + 1) % keepLines
}

// dropOldest forgets the rule that has been silent for the longest. held: mu
func (l *logs) dropOldest() {
	oldest, when := "", time.Time{}
	for rule, r := range l.rules {
		last := r.lines[(r.next+len(r.lines)-1)%len(r.lines)].At
		if oldest == "" || last.Before(when) {
			oldest, when = rule, last
		}
	}
	delete(l.rules, oldest)
}

// last returns the newest lines of a rule, oldest first.
func (l *logs) last(rule string, limit int) []ticketing.RuleLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rules[rule]
	if r == nil {
		return nil
	}
	all := append(append([]ticketing.RuleLog{}, r.lines[r.next:]...), r.lines[:r.next]...)
	return all[max(0, len(all)-max(limit, 0)):]
}

// Logs implements ticketing.RuleConsole.
func (h *Host) Logs(rule string, limit int) []ticketing.RuleLog { return h.logs.last(rule, limit) }

// A rate bounds how many lines an instance logs per second.
type rate struct {
	second int64
	lines  int
}

func (r *rate) allows(now int64) bool {
	if s := now / int64(time.Second); s != r.second {
		r.second, r.lines = s, 0
	}
	r.lines++
	return r.lines <= linesSecond
}

// line logs what a guest says, unless it says too much.
func (c *call) line(level uint32, text []byte) {
	if c.logged += uint32(len(text)); c.logged > c.limits.LogBytes || !c.rate.allows(c.clock()) {
		return
	}
	l := ticketing.RuleLog{
		At: c.host.opts.Now(), Node: c.host.opts.Node, Rule: c.rule, Version: c.version, Level: levelNames[min(level, 3)],
		Text: strings.ToValidUTF8(string(text[:min(len(text), keepText)]), "\uFFFD"),
	}
	if c.view != nil {
		l.Item = c.view.item.ID
	} else {
		c.told = l.Text
	}
	c.log(l)
}
