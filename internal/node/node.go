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
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
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
	"ticketing/plugins/compile"
	"ticketing/plugins/host"
	"ticketing/runtime/peer"
	"ticketing/runtime/replica"
	"ticketing/runtime/store"
	"ticketing/runtime/system"
)

// startTimeout bounds how long a node may take until it can serve.
const startTimeout = 60 * time.Second

// Options are what a node needs besides its config.
type Options struct {
	FS      vfs.FS // default: the operating system's
	Log     *slog.Logger
	Fatal   func(error) // told about a storage error or an impossible state; must not return in production
	Now     func() time.Time
	Trace   *trace.Tracer // default: by the config
	Version string        // of the program, for people
	// Compile is the command that compiles a module in a process of its own, see package compile; without it, or on another
	// file system than the operating system's, modules are compiled in this process.
	Compile []string

	compiler *compile.Compiler    // of tests, whose nodes share one
	limits   ticketing.RuleLimits // of tests: what rules get for which nobody sets any; default: the host's

	rest func(context.Context, time.Duration) // how a backtest rests; default: it waits
}

// Node is a running node.
type Node struct {
	cfg     config.Config
	opts    Options
	log     *slog.Logger
	store   *store.Node
	record  clusterRecord
	name    string
	started time.Time
	founder bool // this process has founded the cluster; others may have joined by now
	// incarnation is the record's; other nodes may ask for it while the record is completed.
	incarnation atomic.Uint64
	sys         *system.System

	// With other nodes.
	peers      *peer.Peers   // nil: this node is alone
	network    *peer.Groups  // nil, too
	pace       *replica.Pace // of the copies that this node sends; nil: they are not held back
	copied     atomic.Uint64 // bytes of other nodes' states that query's copy was begun with
	members    members
	mapMu      sync.Mutex    // held while a newer map is taken over
	mapChanged chan struct{} // has room for one
	news       chan struct{} // something to report; has room for one
	toPlace    chan struct{} // a report has come in; has room for one
	current    atomic.Bool   // the map is no older than this node's start
	reports    reports
	disk       diskSize
	refused    onceAMinute // nodes that wanted to join
	lookout    lookout

	groupsMu sync.Mutex
	groups   map[shardKey]*group // held: groupsMu

	host        *host.Host
	rules       *ruleManager
	users       users.Client
	query       *query.Projection
	gateway     *gateway.Gateway
	certificate certificate.Source // nil with Dev
	keys        *keys
	mail        gateway.Mailer // nil: there is no mail system
	setup       *setup
	backups     *backups
	backtests   *backtests
	control     control.Client
	life        context.Context // ends when the node stops
	stop        context.CancelFunc
	running     sync.WaitGroup
	revoked     revocations
	closing     sync.Once
	closeErr    error
}

// Open starts a node. When it returns, Serve may be called: query and the gateway have caught up, and on a node that is alone every shard
// leads. A node of a cluster may find shards without a leader; it answers what it can.
func Open(ctx context.Context, cfg config.Config, opts Options) (n *Node, err error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.rest == nil {
		opts.rest = (*Node)(nil).pause
	}
	n = &Node{cfg: cfg, opts: opts, log: opts.Log, started: opts.Now().UTC(), mapChanged: make(chan struct{}, 1), news: make(chan struct{}, 1), toPlace: make(chan struct{}, 1), groups: map[shardKey]*group{}}
	n.reports.now, n.reports.all = opts.Now, n.members.names
	if cfg.ClusterMoveRate > 0 {
		n.pace = replica.NewPace(int64(cfg.ClusterMoveRate) * 1e6)
	}
	n.backups = newBackups(n)
	n.life, n.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			_ = n.Close(context.Background())
		}
	}()
	if n.cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return n, err
	}
	// The data directory's lock comes before everything else: two processes must not even look at one.
	if n.store, err = store.Open(n.storeOptions(n.cfg)); err != nil {
		return n, err
	}
	if err := n.sweepCopies(); err != nil { // now, because what follows may wait for a majority
		return n, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !n.cfg.Clustered() { // a node of a cluster waits for the others as long as it takes
		ctx, cancel = context.WithTimeout(ctx, startTimeout)
		defer cancel()
	}
	if err := n.identify(ctx); err != nil {
		return n, err
	}
	n.sys = system.New(n.log)
	for _, s := range n.services() {
		n.sys.Define(s.name, s.shards)
	}
	if err := n.openTrace(ctx); err != nil {
		return n, err
	}
	n.control = control.NewClient(n.sys)
	compiler, err := n.compiler()
	if err != nil {
		return n, err
	}
	n.rules = &ruleManager{control: n.control, policy: rulePolicy(cfg), moduleSize: cfg.RulesModuleSize << 10, shards: n.cfg.Shards, log: n.log,
		others: n.prepareOthers, leads: n.leadsControl, format: n.members.format, now: opts.Now, usage: n.usageOfAll, logs: n.logsOfAll}
	n.host = host.New(n.control, host.Options{Log: n.log, Node: n.name, Compiler: compiler, Usual: opts.limits, Tripped: n.rules.trips.add})
	n.rules.engine, n.rules.console, n.rules.moderation = n.host, n.host, moderation.NewClient(n.sys, feeds{n}, n.host)
	n.backtests = newBacktests(n)
	if n.cfg.Clustered() {
		if err := n.connect(); err != nil { // before replicas: whoever opens one must reach the others
			return n, err
		}
		if err := n.bygone(ctx); err != nil { // before it votes
			return n, err
		}
		n.running.Go(func() { n.watchBygone(n.life) })
		n.running.Go(func() { n.runReports(n.life) }) // before them, too: a node that nobody hears of gets no data
	}
	if err := n.openReplicas(ctx, n.life); err != nil {
		return n, err
	}
	return n, n.startServices(ctx, n.life)
}

// identify finds out which cluster this node is of: by its data directory, or by founding or joining one.
func (n *Node) identify(ctx context.Context) error {
	cluster, err := certified(n.cfg)
	if err != nil {
		return err
	}
	if n.cfg.Clustered() {
		if err := n.openPeers(cluster); err != nil {
			return err
		}
	}
	r, found, err := readCluster(n.opts.FS, n.cfg.Data)
	if err != nil {
		return err
	}
	changed := false
	switch {
	case found:
		changed, err = r.complete(n.cfg, cluster)
	case len(n.cfg.ClusterJoin) > 0:
		var j ticketing.Joined
		if j, err = n.join(ctx); err == nil {
			n.members.set(j.Map)
			r, changed = clusterRecord{Format: formatVersion, Shards: j.Map.Shards, Created: n.started, Cluster: j.Map.Cluster, Node: n.cfg.NodeID,
				Incarnation: j.Incarnation, Control: j.Control, Joining: true}, true
		}
	case n.cfg.Dev && !n.cfg.Clustered(): // a node that has had others must not begin anew beside them
		r, changed = newCluster(n.cfg, cluster), true
	default:
		err = fmt.Errorf("%s holds no cluster; create one with cluster init, join one with cluster.join, or serve with --dev", n.cfg.Data)
	}
	if err != nil {
		return err
	}
	n.record, n.name, n.cfg.Shards = r, r.Node, r.Shards
	n.incarnation.Store(r.Incarnation)
	if err := n.loadMap(); err != nil {
		return err
	}
	if changed {
		return writeCluster(n.opts.FS, n.cfg.Data, r)
	}
	return nil
}

func (n *Node) storeOptions(cfg config.Config) store.Options {
	names := []string{queryName}
	for _, s := range n.services() {
		names = append(names, s.name)
	}
	return store.Options{FS: n.opts.FS, Dir: cfg.Data, Services: names, Cache: int64(cfg.Cache) << 20,
		MemTable: uint64(cfg.MemTable) << 20, Fatal: n.opts.Fatal, Logger: n.log}
}

// Serve answers HTTP on the listener until Close.
func (n *Node) Serve(ln net.Listener) error { return n.gateway.Serve(ln) }

// Close stops the node, in the reverse order of Open: requests in flight end first, then other nodes take over what this one leads, and what
// is applied is flushed last. It may be called more than once.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Do(func() {
		var errs []error
		n.backups.stop()
		if n.gateway != nil {
			errs = append(errs, n.gateway.Shutdown(ctx))
		}
		n.handOver()
		n.stop() // feeds end
		n.running.Wait()
		if n.query != nil {
			errs = append(errs, n.query.Close())
		}
		running := n.closeReplicas() // those that did not stop may still use the store
		if n.sys != nil {
			n.sys.Stop()
		}
		if n.peers != nil {
			errs = append(errs, n.peers.Close())
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

// handOver gives the leaderships of this node to others, while its actors still answer and tell who leads now.
func (n *Node) handOver() {
	var wg sync.WaitGroup
	for _, g := range n.replicas() {
		if _, leads := g.replica.Leader(); leads {
			wg.Go(func() { _ = n.transfer(g, "") }) // alone in its group, it keeps it
		}
	}
	wg.Wait()
}

// flushPatience is how long handing over waits for statistics to be stored.
const flushPatience = 2 * time.Second

// transfer hands the leadership of a group to another replica, whichever is most up to date if id is empty. What a shard of moderation has
// counted in memory is stored before; leadership is handed over without that, too.
func (n *Node) transfer(g *group, id string) error {
	if g.key.service == moderation.Name && g.actor.Leading() {
		ctx, cancel := context.WithTimeout(n.life, flushPatience)
		defer cancel()
		if err := n.rules.moderation.FlushStats(ctx, g.key.index); err != nil {
			n.log.Warn("the latest statistics of rules are not stored", "group", g.name, "error", err)
		}
	}
	return g.replica.Transfer(id)
}

// closeReplicas ends all replicas at once.
func (n *Node) closeReplicas() error {
	all := n.replicas()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, g := range all {
		wg.Go(func() { errs[i] = n.close(g) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Ready implements gateway.Health: it says whether this node can serve: it has control, and every replica that it votes with runs. A shard
// without a leader is another node's business, unless this one holds its only voter.
func (n *Node) Ready() (bool, any) {
	m, known := n.members.current()
	leaderless, missing, own := []string{}, []string{}, 0
	for i := range m.Placements {
		p := &m.Placements[i]
		if n.lacks(p) {
			missing = append(missing, system.Name(p.Service, p.Shard))
		}
		sh := n.sys.Shard(p.Service, p.Shard)
		if sh == nil || sh.Leader() != "" && (sh.Leader() != n.name || sh.Local() != nil && sh.Local().Leading()) {
			continue
		}
		leaderless = append(leaderless, system.Name(p.Service, p.Shard))
		if n.soleVoter(p) {
			own++
		}
	}
	parked, running := uint64(0), n.replicas()
	for _, g := range running {
		parked += g.actor.Stats.Parked.Load()
	}
	ok := known && own == 0 && len(missing) == 0 && n.sys.Shard(control.Name, 0).Local() != nil && n.revoked.loaded() && !n.draining()
	return ok, map[string]any{"leaderless": leaderless, "missing": missing, "parkedEvents": parked, "replicas": len(running), "draining": n.draining()}
}

// lacks reports whether a replica with which this node votes does not run here. Until the map is known to be current it may be an old one.
func (n *Node) lacks(p *ticketing.Placement) bool {
	return n.current.Load() && n.replicaOf(shardKey{p.Service, p.Shard}) == nil &&
		slices.ContainsFunc(p.Replicas, func(r ticketing.ReplicaPlace) bool { return r.Node == n.name && r.Stage == ticketing.StageVoter })
}

// soleVoter reports whether a shard has no voter but this node's.
func (n *Node) soleVoter(p *ticketing.Placement) bool {
	for _, r := range p.Replicas {
		if r.Stage == ticketing.StageVoter && r.Node != n.name {
			return false
		}
	}
	return true
}

// Services returns the clients of the node's services, for the gateway and for whoever works on a data directory without HTTP.
func (n *Node) Services() gateway.Services {
	return gateway.Services{
		Users: n.users, Posts: posts.NewClient(n.sys), Comments: comments.NewClient(n.sys), Moderation: n.rules.moderation,
		Tickets: tickets.NewClient(n.sys), Plugins: n.rules, Query: n.query,
		Mail: n.mail, Setup: n.setup, Cluster: n, Backups: n.backups, Backtests: n.backtests,
	}
}
