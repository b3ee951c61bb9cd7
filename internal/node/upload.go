package node

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/plugins/golden"
)

// takeUpAfter is how long a version may stay between two steps of its way before somebody else takes it up.
const takeUpAfter = 30 * time.Second

// uploads are the versions that this node takes through their steps at the moment.
type uploads struct {
	mu   sync.Mutex
	busy map[ticketing.Digest]int // held: mu
}

func (u *uploads) begin(d ticketing.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy == nil {
		u.busy = map[ticketing.Digest]int{}
	}
	u.busy[d]++
}

func (u *uploads) end(d ticketing.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy[d]--; u.busy[d] == 0 {
		delete(u.busy, d)
	}
}

func (u *uploads) has(d ticketing.Digest) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.busy[d] > 0
}

// Upload implements ticketing.PluginService. What is larger than this node takes, or what the static checks refuse, is not stored at all. How large a
// module may be is asked here alone: what was stored is used on every node, however it is set.
func (m *ruleManager) Upload(ctx context.Context, c ticketing.UploadPlugin) (ticketing.PluginVersion, bool, error) {
	const op = "node.Upload"
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.PluginVersion{}, false, ticketing.Errorf(ticketing.Forbidden, "Only an operator may upload a plugin.")
	}
	if n := len(c.Module); n > m.moduleSize {
		return ticketing.PluginVersion{}, false, ticketing.Errorf(ticketing.TooLarge,
			"The module has %d bytes; this server takes modules of up to %d (rules.module_size).", n, m.moduleSize)
	}
	if err := m.platform(); err != nil {
		return ticketing.PluginVersion{}, false, ticketing.Wrap(op, err)
	}
	if _, err := m.engine.Check(c.Module); err != nil {
		return ticketing.PluginVersion{}, false, ticketing.Wrap(op, err)
	}
	d := ticketing.DigestOf(c.Module)
	m.uploads.begin(d)
	defer m.uploads.end(d)
	v, existed, err := m.control.Register(ctx, c)
	if err == nil {
		v, err = m.advance(ctx, v)
	}
	m.explain(&v)
	return v, existed, ticketing.Wrap(op, err)
}

// advance takes a version through the steps to probed or rejected, as far as it is not there. Each step is committed before the next one
// begins, so that it goes on from there after a crash. A fault of ours, such as a node that stops, rejects nothing.
func (m *ruleManager) advance(ctx context.Context, v ticketing.PluginVersion) (ticketing.PluginVersion, error) {
	for {
		do := map[ticketing.VersionState]func(context.Context, *control.Step) error{
			ticketing.VersionUploaded: m.admit, ticketing.VersionAdmitted: m.compile, ticketing.VersionCompiled: m.probe,
		}[v.State]
		if do == nil || m.waits(&v) {
			return v, nil
		}
		step := control.Step{Name: v.Name, Digest: v.Digest, From: v.State}
		if err := do(ctx, &step); ticketing.KindOf(err) == ticketing.Invalid {
			step.To, step.Reason = ticketing.VersionRejected, because(err)
		} else if err != nil {
			return v, err
		}
		next, err := m.control.Step(ctx, step)
		if err != nil {
			return v, err
		}
		if next.State == v.State {
			return v, ticketing.Wrap("node.advance", errors.New("a version does not leave its state"))
		}
		v = next
	}
}

func (m *ruleManager) admit(ctx context.Context, s *control.Step) error {
	module, err := m.control.Module(ctx, s.Digest)
	if err == nil {
		s.Manifest, err = m.engine.Check(module)
	}
	s.To = ticketing.VersionAdmitted
	return err
}

func (m *ruleManager) compile(ctx context.Context, s *control.Step) error {
	s.To = ticketing.VersionCompiled
	return m.engine.Compile(ctx, s.Digest)
}

func (m *ruleManager) probe(ctx context.Context, s *control.Step) (err error) {
	s.To = ticketing.VersionProbed
	if s.Golden, err = m.engine.Probe(ctx, s.Digest); err == nil {
		err = golden.Err(s.Golden)
	}
	return err
}

// because says in one line what is wrong with a module.
func because(err error) string {
	e := new(ticketing.Error)
	if !errors.As(err, &e) {
		return err.Error()
	}
	var faults []string
	for _, f := range e.Fields {
		faults = append(faults, f.Message)
	}
	return cmp.Or(strings.Join(faults, " "), e.Msg, err.Error()) // what is not classified has no sentence
}

// takeUp takes the versions up whose way somebody began and did not end, because a node was stopped or the operator lost patience. A new
// leader takes up all: whoever was at it may be gone. Two that are at the same version do no harm.
func (m *ruleManager) takeUp(ctx context.Context, all bool) error {
	if m.platform() != nil {
		return nil
	}
	versions, err := m.control.Versions(ctx)
	if err != nil {
		return err
	}
	for _, v := range versions {
		switch v.State {
		case ticketing.VersionUploaded, ticketing.VersionAdmitted, ticketing.VersionCompiled:
		default:
			continue
		}
		if m.waits(&v) || m.uploads.has(v.Digest) || !all && m.now().Sub(v.ChangedAt) < takeUpAfter {
			continue
		}
		now, e := m.advance(ctx, v)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		m.log.Info("an interrupted upload was taken up", "plugin", now.Name, "version", now.Version, "state", now.State)
	}
	return err
}

// sweepUploads takes parts of modules away that were never registered.
func (m *ruleManager) sweepUploads(ctx context.Context) error {
	if m.platform() != nil {
		return nil
	}
	gone, err := m.control.SweepUploads(ctx, m.now())
	if gone > 0 {
		m.log.Info("parts of modules that were never registered are gone", "modules", gone)
	}
	return err
}
