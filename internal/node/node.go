// Package node is the composition root: it alone knows every part, and says in which order they start and stop. A [Node] is the program
// as a value; cmd/ticketing and the tests open the same one.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/actors/comments"
	"ticketing/actors/control"
	"ticketing/actors/moderation"
	"ticketing/actors/posts"
	"ticketing/actors/query"
	"ticketing/actors/tickets"
	"ticketing/actors/users"
	"ticketing/config"
	"ticketing/gateway"
	"ticketing/gateway/certificate"
	"ticketing/internal/trace"
	"ticketing/plugins/host"
	"ticketing/runtime/store"
	"ticketing/runtime/system"
)

// startTimeout bounds how long a node may take until every shard leads.
const startTimeout = 60 * time.Second

// Options are what a node needs besides its config.
type Options struct {
	FS    vfs.FS // default: the operating system's
	Log   *slog.Logger
	Fatal func(error) // told about a storage error or an impossible state; must not return in production
	Now   func() time.Time
	Trace *trace.Tracer // default: by the config
}

// Node is a running node.
type Node struct {
	cfg   config.Config
	opts  Options
	log   *slog.Logger
	store *store.Node
	sys   *system.System

	groups      []*group
	host        *host.Host
	rules       *ruleManager
	users       users.Client
	query       *query.Projection
	gateway     *gateway.Gateway
	certificate certificate.Source // nil with Dev
	keys        *keys
	mail        gateway.Mailer // nil: there is no mail system
	setup       *setup
	control     control.Client
	stop        context.CancelFunc
	running     sync.WaitGroup
	revoked     revocations
	closing     sync.Once
	closeErr    error
}

// Open starts a node. When it returns, every shard leads, query and the gateway have caught up, and Serve may be called.
func Open(ctx context.Context, cfg config.Config, opts Options) (n *Node, err error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	n = &Node{cfg: cfg, opts: opts, log: opts.Log}
	defer func() {
		if err != nil {
			_ = n.Close(context.Background())
		}
	}()
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return n, err
	}
	// The data directory's lock comes before everything else: two processes must not even look at one.
	if n.store, err = store.Open(n.storeOptions(cfg)); err != nil {
		return n, err
	}
	record, err := openCluster(opts.FS, cfg.Data, cfg.Shards, cfg.Dev)
	if err != nil {
		return n, err
	}
	cfg.Shards = record.Shards
	n.cfg = cfg
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	running, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.sys = system.New(n.log)
	if err := n.openTrace(ctx); err != nil {
		return n, err
	}
	n.control = control.NewClient(n.sys)
	n.host = host.New(n.control, host.Options{Log: n.log})
	// Control leads before moderation opens its rules, whose modules control holds.
	for _, part := range [][]serviceSpec{n.services()[:1], n.services()[1:]} {
		if err := n.startShards(ctx, running, part, record.Creating); err != nil {
			return n, err
		}
	}
	if record.Creating {
		record.Creating = false
		if err := writeCluster(opts.FS, cfg.Data, record); err != nil {
			return n, err
		}
	}
	return n, n.startServices(ctx, running)
}

func (n *Node) storeOptions(cfg config.Config) store.Options {
	names := []string{queryName}
	for _, s := range n.services() {
		names = append(names, s.name)
	}
	return store.Options{FS: n.opts.FS, Dir: cfg.Data, Services: names, Cache: int64(cfg.Cache) << 20,
		MemTable: uint64(cfg.MemTable) << 20, Fatal: n.opts.Fatal, Logger: n.log}
}

// startServices starts what stands on the shards.
func (n *Node) startServices(ctx, running context.Context) error {
	secrets, err := n.control.Keys(ctx)
	if err != nil {
		return fmt.Errorf("the cluster's keys: %w", err)
	}
	if n.keys, err = newKeys(n.control, secrets, n.opts.Now, n.log); err != nil {
		return err
	}
	n.running.Go(func() { n.keys.follow(running) })
	n.users = users.NewClient(n.sys, secrets.Slot)
	n.rules = &ruleManager{control: n.control, moderation: moderation.NewClient(n.sys), engine: n.host, shards: n.cfg.Shards, log: n.log}
	// The rules are in place before the first item can arrive: a set without rules holds everything.
	if err := n.rules.seed(ctx); err != nil {
		return err
	}
	if err := n.rules.reconcile(ctx); err != nil {
		return fmt.Errorf("the rule set: %w", err)
	}
	n.running.Go(func() { n.rules.run(running) })
	if n.query, err = query.Open(n.store.State(queryName)); err != nil {
		return err
	}
	if n.mail, err = newMailer(n.cfg); err != nil {
		return err
	}
	n.setup = &setup{control: n.control, users: n.users}
	front, err := n.gatewayConfig()
	if err != nil {
		return err
	}
	if n.gateway, err = gateway.New(front, n.Services(), n.keys, n, n.log); err != nil {
		return err
	}
	if err := n.follow(ctx, running); err != nil {
		return err
	}
	if err := n.firstOperator(ctx); err != nil {
		return err
	}
	return n.setup.prepare(ctx)
}

// Serve answers HTTP on the listener until Close.
func (n *Node) Serve(ln net.Listener) error { return n.gateway.Serve(ln) }

// Close stops the node, in the reverse order of Open: requests in flight end first, and what is applied is flushed last. It may be called
// more than once.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Do(func() {
		var errs []error
		if n.gateway != nil {
			errs = append(errs, n.gateway.Shutdown(ctx))
		}
		if n.stop != nil {
			n.stop() // feeds end
		}
		n.running.Wait()
		if n.query != nil {
			errs = append(errs, n.query.Close())
		}
		if n.sys != nil {
			n.sys.Stop()
		}
		var running error // of replicas that did not stop and may still use the store
		for _, g := range n.groups {
			g.actor.Stop()
			running = errors.Join(running, g.close())
		}
		if n.host != nil {
			n.host.Close()
		}
		errs = append(errs, n.opts.Trace.Close(ctx))
		if n.store != nil && running == nil {
			errs = append(errs, n.store.Close())
		}
		errs = append(errs, running)
		n.closeErr = errors.Join(errs...)
	})
	return n.closeErr
}

// Ready implements gateway.Health: it says whether this node can serve.
func (n *Node) Ready() (bool, any) {
	leaderless := []string{}
	for _, g := range n.groups {
		if !g.actor.Leading() {
			leaderless = append(leaderless, g.name)
		}
	}
	parked := uint64(0)
	for _, g := range n.groups {
		parked += g.actor.Stats.Parked.Load()
	}
	return len(leaderless) == 0 && n.revoked.loaded(), map[string]any{"leaderless": leaderless, "parkedEvents": parked}
}

// Services returns the clients of the node's services, for the gateway and for whoever works on a data directory without HTTP.
func (n *Node) Services() gateway.Services {
	return gateway.Services{
		Users: n.users, Posts: posts.NewClient(n.sys), Comments: comments.NewClient(n.sys), Moderation: n.rules.moderation,
		Tickets: tickets.NewClient(n.sys), Plugins: n.rules, Query: n.query,
		Mail: n.mail, Setup: n.setup,
	}
}
