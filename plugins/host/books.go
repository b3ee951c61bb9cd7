package host

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"ticketing"
)

// maxAccounts bounds how many versions the books remember.
const maxAccounts = 1_024

// The books keep what each version costs and how often it fails on this node. They are safe for concurrent use.
type books struct {
	host     *Host
	mu       sync.Mutex
	accounts map[accountKey]*account // held: mu
}

// An accountKey names a version in a role.
type accountKey struct {
	rule   string
	role   string
	digest ticketing.Digest
}

// An account is what is known of a version in a role.
type account struct {
	key     accountKey
	version string
	since   time.Time
	open    map[*tally]struct{} // of judges; held: books.mu
	closed  sums                // of judges that are gone; held: books.mu
	breaker breaker             // held: books.mu
}

// A tally counts for one seat of one judge, whose goroutine alone uses sums. What others may see of it is in the judge's ledger.
type tally struct {
	account *account // nil: nobody wants to know
	books   *books
	ledger  *ledger
	sums    sums
	shown   sums // held: ledger.mu
}

// A ledger is where a judge shows its tallies, all at once after each item: one lock for an item costs less than an atomic count for
// each of its rules.
type ledger struct {
	mu    sync.Mutex
	fresh []*tally // that have counted something since; the judge's own
}

type sums struct{ calls, failed, fuel, nanos uint64 }

func (s *sums) add(o sums) {
	s.calls += o.calls
	s.failed += o.failed
	s.fuel += o.fuel
	s.nanos += o.nanos
}

// show shows what the tallies of a judge have counted.
func (l *ledger) show() {
	if len(l.fresh) == 0 {
		return
	}
	l.mu.Lock()
	for _, t := range l.fresh {
		t.shown = t.sums
	}
	l.mu.Unlock()
	l.fresh = l.fresh[:0]
}

func (t *tally) total() sums {
	t.ledger.mu.Lock()
	defer t.ledger.mu.Unlock()
	return t.shown
}

func (a *account) sums() sums {
	all := a.closed
	for t := range a.open {
		all.add(t.total())
	}
	return all
}

// open opens a tally for a seat of a rule set. Generation 0 is nobody's: what its judges do is a trial, and not counted.
func (b *books) open(rule *ticketing.Rule, s seat, generation uint64, l *ledger) *tally {
	t := &tally{books: b, ledger: l}
	if s.loaded == nil || generation == 0 {
		return t
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := accountKey{rule.Name, s.role, s.loaded.key.digest}
	a := b.accounts[key]
	if a == nil {
		b.makeRoom()
		a = &account{key: key, version: s.version, since: b.host.opts.Now(), open: map[*tally]struct{}{}}
		b.accounts[key] = a
	}
	a.open[t] = struct{}{}
	t.account = a
	return t
}

// makeRoom forgets the oldest account that no judge uses, if there are too many. held: mu
func (b *books) makeRoom() {
	if len(b.accounts) < maxAccounts {
		return
	}
	var oldest *account
	for _, a := range b.accounts {
		if len(a.open) == 0 && (oldest == nil || a.since.Before(oldest.since)) {
			oldest = a
		}
	}
	if oldest != nil {
		delete(b.accounts, oldest.key)
	}
}

// close closes a tally; what it counted stays.
func (b *books) close(t *tally) {
	if t.account == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := t.account.open[t]; ok {
		t.account.closed.add(t.sums)
		delete(t.account.open, t)
	}
}

// count counts one judgement, which the ledger shows when the item is done. A failure may trip the breaker.
func (t *tally) count(o *ticketing.RuleOutcome, nanos int64) {
	if t.account == nil {
		return
	}
	t.sums.calls++
	t.sums.fuel += o.Fuel
	t.sums.nanos += uint64(max(nanos, 0))
	t.ledger.fresh = append(t.ledger.fresh, t)
	if o.Failure == "" {
		return
	}
	t.sums.failed++
	if o.Failure != failedHost {
		t.ledger.show()
		t.books.failed(t.account, o.Failure)
	}
}

// started counts what starting an instance took, which is no part of an outcome: a replay starts one for each item.
func (t *tally) started(fuel uint64) {
	if t.account != nil {
		t.sums.fuel += fuel
	}
}

// wore notes that an instance was full of memory after few calls. Their verdicts stand, but the breaker takes it for a failure.
func (t *tally) wore() {
	if t.account != nil {
		t.ledger.show()
		t.books.failed(t.account, failedMemory)
	}
}

// failed notes a failure that is the rule's own, and calls Options.Tripped if it is one too many.
func (b *books) failed(a *account, cause string) {
	b.mu.Lock()
	trips := a.breaker.failed(b.host.opts.Now(), a.sums().calls)
	b.mu.Unlock()
	if trips {
		b.host.opts.Log.Warn("a rule fails too often", "rule", a.key.rule, "digest", a.key.digest, "role", a.key.role, "cause", cause)
		b.host.opts.Tripped(ticketing.RuleTrip{Rule: a.key.rule, Digest: a.key.digest, Cause: cause, Role: a.key.role})
	}
}

// Usage implements ticketing.RuleConsole.
func (h *Host) Usage() []ticketing.RuleUsage {
	b := h.books
	now := h.opts.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]ticketing.RuleUsage, 0, len(b.accounts))
	for _, a := range b.accounts {
		s := a.sums()
		u := ticketing.RuleUsage{
			Node: h.opts.Node, Rule: a.key.rule, Version: a.version, Digest: a.key.digest, Role: a.key.role,
			Calls: s.calls, Failed: s.failed, Fuel: s.fuel, Micros: s.nanos / 1_000, Since: a.since,
		}
		if age := now.Sub(a.since); age > 0 {
			u.Share = float64(s.nanos) / float64(age)
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b ticketing.RuleUsage) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Role, b.Role), a.Since.Compare(b.Since), cmp.Compare(a.Version, b.Version))
	})
	return all
}
