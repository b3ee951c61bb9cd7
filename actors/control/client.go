package control

import (
	"context"
	"errors"

	"ticketing"
	"ticketing/runtime/system"
)

// Client asks the service, wherever its shard leads.
type Client struct{ sys *system.System }

var _ ticketing.ModuleSource = Client{}

// NewClient makes a client.
func NewClient(sys *system.System) Client { return Client{sys} }

// Register stores a module in parts, and names it. Its validity is the caller's business.
func (c Client) Register(ctx context.Context, u ticketing.UploadPlugin) (v ticketing.PluginVersion, existed bool, err error) {
	d := ticketing.DigestOf(u.Module)
	for n := 0; n*chunkSize < len(u.Module); n++ {
		part := u.Module[n*chunkSize : min((n+1)*chunkSize, len(u.Module))]
		if _, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opPutChunk, &putChunk{Meta: ticketing.Meta{At: u.At}, By: u.By.ID, Digest: d, Number: uint32(n), Bytes: part}); err != nil {
			return v, false, err
		}
	}
	cmd := &register{Meta: u.Meta, By: u.By, Name: u.Name, Digest: d, Size: len(u.Module), Builtin: u.Builtin}
	r, _, err := system.Command[registered](ctx, c.sys, Name, 0, opRegister, cmd)
	return r.Version, r.Existed, err
}

// Versions lists all uploaded versions, by name and then in the order of upload.
func (c Client) Versions(ctx context.Context) ([]ticketing.PluginVersion, error) {
	return system.Query[[]ticketing.PluginVersion](ctx, c.sys, Name, 0, opVersions, &nothing{})
}

// RuleSet returns the present rule set; generation 0 is the empty one.
func (c Client) RuleSet(ctx context.Context) (ticketing.RuleSet, error) {
	return system.Query[ticketing.RuleSet](ctx, c.sys, Name, 0, opRuleSet, &nothing{})
}

// Known returns the rule set as this node's replica has it, which may be behind.
func (c Client) Known() (ticketing.RuleSet, error) {
	a := c.sys.Shard(Name, 0).Local()
	if a == nil {
		return ticketing.RuleSet{}, ticketing.Errorf(ticketing.Unavailable, "This node has no replica of control at the moment.")
	}
	set, err := a.Stale(opRuleSet, &nothing{})
	if err != nil {
		return ticketing.RuleSet{}, err
	}
	return set.(ticketing.RuleSet), nil
}

// SetRule commits the next generation. Its rules were prepared by the caller.
func (c Client) SetRule(ctx context.Context, cmd ticketing.SetRule) (ticketing.RuleSet, error) {
	set, _, err := system.Command[ticketing.RuleSet](ctx, c.sys, Name, 0, opSetRule, &cmd)
	return set, err
}

// Once runs do unless it has succeeded before in this cluster's life. do may run again after a crash: it must bear that.
func (c Client) Once(ctx context.Context, name string, do func(context.Context) error) error {
	done, err := c.Done(ctx, name)
	if err != nil || done {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	_, _, err = system.Command[struct{}](ctx, c.sys, Name, 0, opMark, &mark{Name: name})
	return err
}

// Done reports whether [Client.Once] has succeeded under this name.
func (c Client) Done(ctx context.Context, name string) (bool, error) {
	return system.Query[bool](ctx, c.sys, Name, 0, opMarked, &whichMark{name})
}

// Module implements ticketing.ModuleSource.
func (c Client) Module(ctx context.Context, d ticketing.Digest) ([]byte, error) {
	ctx, _ = ticketing.AllowStale(ctx) // a module never changes
	var module []byte
	for n := uint32(0); ; n++ {
		part, err := system.Query[[]byte](ctx, c.sys, Name, 0, opChunk, &whichChunk{d, n})
		if ticketing.KindOf(err) == ticketing.NotFound && n > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		module = append(module, part...)
		if len(part) < chunkSize {
			break
		}
	}
	if ticketing.DigestOf(module) != d {
		return nil, ticketing.Wrap("control.Module", errors.New("the stored module does not have its digest"))
	}
	return module, nil
}
