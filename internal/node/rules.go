package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/moderation"
	"ticketing/plugins/rules"
)

// reconcileEvery is how often the moderation shards' generations are compared with control's.
const reconcileEvery = 2 * time.Second

// ruleManager brings rule sets from control to the moderation shards: it checks and prepares before anything is committed, and moves
// every shard to the present generation. It implements the operators' side of the rules.
type ruleManager struct {
	control    control.Client
	moderation moderation.Client
	engine     ticketing.RuleEngine
	shards     int
	log        *slog.Logger
	mu         sync.Mutex // one change at a time on this node; between nodes control decides
}

var _ ticketing.PluginService = (*ruleManager)(nil)

// nobody is who acts when nobody does.
var nobody = ticketing.Principal{Name: "system", Roles: ticketing.RoleUser | ticketing.RoleOperator}

// Upload implements ticketing.PluginService.
func (m *ruleManager) Upload(ctx context.Context, c ticketing.UploadPlugin) (ticketing.PluginVersion, bool, error) {
	const op = "node.Upload"
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.PluginVersion{}, false, ticketing.Errorf(ticketing.Forbidden, "Only an operator may upload a plugin.")
	}
	if err := m.engine.Check(c.Module); err != nil {
		return ticketing.PluginVersion{}, false, ticketing.Wrap(op, err)
	}
	v, existed, err := m.control.Register(ctx, c)
	return v, existed, ticketing.Wrap(op, err)
}

// Plugins implements ticketing.PluginService.
func (m *ruleManager) Plugins(ctx context.Context) ([]ticketing.PluginVersion, error) {
	return m.control.Versions(ctx)
}

// RuleSet implements ticketing.PluginService.
func (m *ruleManager) RuleSet(ctx context.Context) (ticketing.RuleSet, error) {
	return m.control.RuleSet(ctx)
}

// SetRule implements ticketing.PluginService.
func (m *ruleManager) SetRule(ctx context.Context, c ticketing.SetRule) (ticketing.RuleSet, error) {
	const op = "node.SetRule"
	m.mu.Lock()
	defer m.mu.Unlock()
	set, err := m.control.RuleSet(ctx)
	if err != nil {
		return set, ticketing.Wrap(op, err)
	}
	versions, err := m.control.Versions(ctx)
	if err != nil {
		return set, ticketing.Wrap(op, err)
	}
	next, err := control.Change(set, &c, func(name string, d ticketing.Digest) (ticketing.PluginVersion, bool) {
		for _, v := range versions {
			if v.Name == name && v.Digest == d {
				return v, true
			}
		}
		return ticketing.PluginVersion{}, false
	})
	if err != nil {
		return set, ticketing.Wrap(op, err)
	}
	if err := m.engine.Prepare(ctx, next); err != nil {
		return set, ticketing.Wrap(op, err)
	}
	c.Prepared = set.Generation
	if next, err = m.control.SetRule(ctx, c); err != nil {
		return set, ticketing.Wrap(op, err)
	}
	return next, ticketing.Wrap(op, m.distribute(ctx, next))
}

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

// reconcile moves shards that lag behind control, such as after a crash between a change's commit and its distribution.
func (m *ruleManager) reconcile(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	set, err := m.control.RuleSet(ctx)
	if err != nil {
		return err
	}
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
	if err := m.engine.Prepare(ctx, set); err != nil {
		return err
	}
	return m.distribute(ctx, set)
}

// run reconciles until ctx ends.
func (m *ruleManager) run(ctx context.Context) {
	t := time.NewTicker(reconcileEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := m.reconcile(ctx); err != nil && ctx.Err() == nil {
				m.log.Error("the rule set could not be brought to every shard", "error", err)
			}
		}
	}
}

// seed registers the built-in rules, and activates them in a cluster that never had rules.
func (m *ruleManager) seed(ctx context.Context) error {
	builtin := rules.Builtin()
	for _, b := range builtin {
		if _, _, err := m.Upload(ctx, ticketing.UploadPlugin{By: nobody, Name: b.Name, Module: b.Module, Builtin: true}); err != nil {
			return fmt.Errorf("the built-in rule %s: %w", b.Name, err)
		}
	}
	return m.control.Once(ctx, "rules", func(ctx context.Context) error {
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
}
