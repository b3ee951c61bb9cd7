package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/moderation"
	"ticketing/plugins/rules"
)

// reconcileEvery is how often the moderation shards' generations are compared with control's.
const reconcileEvery = 2 * time.Second

// ruleManager brings rule sets from control to the moderation shards: it checks and prepares before anything is committed, and moves
// every shard to the present generation. It implements the operators' side of the rules. Uploads are in upload.go, what operators ask and
// change in operate.go, failures in trip.go, what lacks a signature in unsigned.go, canaries in canary.go.
type ruleManager struct {
	control    control.Client
	moderation moderation.Client
	engine     ticketing.RuleEngine
	policy     control.Policy
	moduleSize int // bytes of an uploaded module
	shards     int
	log        *slog.Logger
	others     func(ctx context.Context, set ticketing.RuleSet) // lets the other nodes prepare a set; returns when they have, or after a while
	leads      func() bool                                      // whether this node leads control
	format     func() int                                       // the cluster's, as far as this node knows
	now        func() time.Time
	console    ticketing.RuleConsole // of this node
	usage      func(ctx context.Context) []ticketing.RuleUsage
	logs       func(ctx context.Context, rule string, limit int) []ticketing.RuleLog
	mu         sync.Mutex // one change at a time on this node; between nodes control decides
	uploads    uploads
	trips      trips
	canaries   canaries
	seeded     atomic.Bool // the built-in rules are there

	readyMu    sync.Mutex
	generation uint64 // of the newest committed set that is prepared here
	failed     uint64 // a newer one that could not be; 0: none
	failure    string // why
}

var _ ticketing.PluginService = (*ruleManager)(nil)

// nobody is who acts when nobody does.
var nobody = ticketing.Principal{Name: "system", Roles: ticketing.RoleUser | ticketing.RoleOperator}

// distribute moves every moderation shard to a set that is committed.
func (m *ruleManager) distribute(ctx context.Context, set ticketing.RuleSet) error {
	var wg sync.WaitGroup
	errs := make([]error, m.shards)
	for i := range m.shards {
		wg.Go(func() { _, errs[i] = m.moderation.TakeGeneration(ctx, i, m.shards, set) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// reconcile moves shards that lag behind control, such as after a crash between a change's commit and its distribution, and ends what only
// waited for that, or for a time.
func (m *ruleManager) reconcile(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	set, err := m.control.RuleSet(ctx)
	if err != nil {
		return err
	}
	if err := m.spread(ctx, set); err != nil {
		return err
	}
	if m.platform() != nil {
		return nil
	}
	versions, err := m.control.Versions(ctx)
	if err != nil || !m.policy.Due(versions, &set, m.now()) {
		return err
	}
	settled, err := m.control.Settle(ctx, control.Settle{Generation: set.Generation})
	if err != nil || settled.Generation == set.Generation {
		return err
	}
	return m.spread(ctx, settled) // a suspended rule judges again
}

// spread moves all shards to a committed set, if one is behind it.
func (m *ruleManager) spread(ctx context.Context, set ticketing.RuleSet) error {
	behind := false
	for i := range m.shards {
		g, err := m.moderation.Generation(ctx, i, m.shards)
		if err != nil {
			return err
		}
		behind = behind || g < set.Generation
	}
	if !behind {
		return nil
	}
	return errors.Join(m.engine.Prepare(ctx, set), m.distribute(ctx, set)) // this node may lead control, and no shard that judges
}

// establish registers the built-in rules, and brings every shard to the present set.
func (m *ruleManager) establish(ctx context.Context) error {
	if err := m.seed(ctx); err != nil {
		return err
	}
	if err := m.withdraw(ctx); err != nil {
		return fmt.Errorf("versions without a signature: %w", err)
	}
	if err := m.reconcile(ctx); err != nil {
		return fmt.Errorf("the rule set: %w", err)
	}
	return nil
}

// run prepares what control has committed, and reconciles, until ctx ends.
func (m *ruleManager) run(ctx context.Context) {
	t := time.NewTicker(reconcileEvery)
	defer t.Stop()
	led, all := false, false
	var side sync.WaitGroup
	defer side.Wait()
	var busy atomic.Bool // with uploads: compiling and probing take longer than anything else here may wait
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.prepareKnown(ctx)
			if !m.leads() {
				led = false
				m.canaries.forget()
				continue
			}
			m.lead(ctx)
			all, led = all || !led, true
			if !busy.CompareAndSwap(false, true) {
				continue
			}
			every := all
			side.Go(func() {
				defer busy.Store(false)
				if err := m.takeUp(ctx, every); err != nil && ctx.Err() == nil {
					m.log.Error("interrupted uploads could not be brought to their end", "error", err)
				}
			})
			all = false
		}
	}
}

// lead does what control's leader does about the rules, now and then. What fails is tried again.
func (m *ruleManager) lead(ctx context.Context) {
	for _, job := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"the rule set could not be brought to every shard", m.reconcile},
		{"the built-in rules could not be registered", m.seed},
		{"versions without a signature could not be taken from the rules", m.withdraw},
		{"canaries could not be watched", m.watchCanaries},
		{"parts of uploads that were given up could not be taken away", m.sweepUploads},
	} {
		if err := job.do(ctx); err != nil && ctx.Err() == nil {
			m.log.Error(job.what, "error", err)
		}
	}
}

// prepareKnown prepares the rule set that this node knows of, if it has not. What fails is tried again, and reported.
func (m *ruleManager) prepareKnown(ctx context.Context) {
	set, err := m.control.Known()
	news := true
	if have, _ := m.prepared(); err == nil && have < set.Generation {
		err = m.engine.Prepare(ctx, set)
		news = m.note(set.Generation, err)
	}
	if err != nil && news && ctx.Err() == nil {
		m.log.Error("the rules could not be prepared; it is tried again until they are", "generation", set.Generation, "error", err)
	}
}

// note keeps what became of preparing a generation, and reports whether it is not the failure that was noted before.
func (m *ruleManager) note(generation uint64, err error) (news bool) {
	m.readyMu.Lock()
	defer m.readyMu.Unlock()
	switch {
	case err != nil:
		news = m.failed != generation
		m.failed, m.failure = generation, because(err)
	case generation > m.generation:
		m.generation, m.failed, m.failure = generation, 0, ""
		news = true
	}
	return news
}

// prepared returns the generation that this node has prepared, and why it could not prepare a newer one.
func (m *ruleManager) prepared() (generation uint64, failure string) {
	m.readyMu.Lock()
	defer m.readyMu.Unlock()
	return m.generation, m.failure
}

const (
	// prepareTimeout bounds how long the other nodes may take to prepare a set.
	prepareTimeout = 15 * time.Second
	// livePatience is how long a node may take to say that it is there. Nobody waits for the others to prepare anything.
	livePatience = time.Second
)

// prepareOthers lets all nodes that are alive prepare a set before it is committed. One that cannot does not hold the change up: it says so
// in its reports, and leads no shard of moderation until it can.
func (n *Node) prepareOthers(ctx context.Context, set ticketing.RuleSet) {
	m, ok := n.members.current()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, member := range m.Members {
		if member.Node == n.name || member.State == ticketing.MemberRemoved {
			continue
		}
		wg.Go(func() {
			if !n.answers(ctx, member.Node, livePatience) {
				n.log.Info("a node that does not answer was not asked to prepare the new rules; it does when it is back", "node", member.Node)
			} else if _, err := call[nothing](ctx, n, member.Node, callPrepare, set); err != nil {
				n.log.Warn("a node could not prepare the new rules", "node", member.Node, "error", err)
			}
		})
	}
	wg.Wait()
}

// prepare loads a rule set that another node is going to commit.
func (n *Node) prepare(ctx context.Context, _ string, set ticketing.RuleSet) (nothing, error) {
	return nothing{}, n.host.Prepare(ctx, set)
}

// platform returns why nothing can be done yet that programs of the first format do not know, nil if it can.
func (m *ruleManager) platform() error {
	return ticketing.NeedsFormat(m.format(), ticketing.PlatformFormat)
}

// seed registers the built-in rules, and activates those that judge from the start in a cluster that never had rules. In a cluster that is being upgraded
// it waits, until the format is raised.
func (m *ruleManager) seed(ctx context.Context) error {
	if m.seeded.Load() || m.platform() != nil {
		return nil
	}
	builtin := rules.Builtin()
	for _, b := range builtin {
		if _, _, err := m.Upload(ctx, ticketing.UploadPlugin{By: nobody, Name: b.Name, Module: b.Module, Builtin: true}); err != nil {
			return fmt.Errorf("the built-in rule %s: %w", b.Name, err)
		}
	}
	builtin = slices.DeleteFunc(builtin, func(b rules.Rule) bool { return !b.Active })
	err := m.control.Once(ctx, "rules", func(ctx context.Context) error {
		set, err := m.control.RuleSet(ctx)
		if err != nil {
			return err
		}
		for _, b := range builtin[min(int(set.Generation), len(builtin)):] { // a crash may have left a part done
			c := ticketing.SetRule{By: nobody, Name: b.Name, Active: ticketing.DigestOf(b.Module), Config: b.Config, IfMatch: ticketing.AnyMatch}
			if _, err := m.SetRule(ctx, c); err != nil {
				return fmt.Errorf("the built-in rule %s: %w", b.Name, err)
			}
		}
		return nil
	})
	if err == nil {
		m.seeded.Store(true)
	}
	return err
}
