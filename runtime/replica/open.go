package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// Open starts a replica. It is brought forward from its log in the background; Lead waits for that. A replica whose data cannot be what
// it left behind is refused.
func Open(c Config) (*Replica, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	r := &Replica{cfg: c, db: c.Store.State(c.Service), pulse: make(chan struct{}, 1), done: make(chan struct{})}
	if err := r.open(); err != nil {
		if r.transport != nil {
			r.transport.discard()
		}
		return nil, fmt.Errorf("replica %s: %w", c.Name, err)
	}
	r.observe()
	go r.watch()
	if n, ok := r.transport.Transport.(*netTransport); ok {
		go r.watchVacancy(n.layer.ended)
	}
	if c.Single && r.onlyVoter() {
		r.transport.elect(raft.ServerID(c.ID))
	}
	return r, nil
}

func (c *Config) setDefaults() error {
	if c.Node == "" || c.Store == nil || c.Machine == nil {
		return errors.New("replica: node, store and machine must be given")
	}
	if c.Bootstrap && c.Join {
		return errors.New("replica: a group is either created or joined")
	}
	c.ID = cmpOr(c.ID, c.Node)
	if c.Name == "" {
		c.Name = c.Shard.String()
	}
	if c.Fatal == nil {
		c.Fatal = c.Store.Fatal
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.hooks == nil {
		c.hooks = &hooks{}
	}
	c.Heartbeat = cmpOr(c.Heartbeat, 2*time.Second)
	c.CommitTimeout = cmpOr(c.CommitTimeout, 250*time.Millisecond)
	c.SnapshotBytes = cmpOr(c.SnapshotBytes, 64<<20)
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = 8192 + uint64(c.Shard)*2654435761%2048 // not all shards of a database at once
	}
	return nil
}

func cmpOr[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// open brings the stores into a state that raft can begin from, and starts it. The order matters: raft believes what it finds.
func (r *Replica) open() (err error) {
	c := &r.cfg
	if r.log, err = openLogStore(c.Store.Log(), c.Shard, r.fatal, c.hooks); err != nil {
		return err
	}
	if c.Single {
		r.log.recent = nil // nobody reads what is applied from the proposal itself, until share
	}
	r.trailing.Store(cmpOr(c.TrailingLogs, r.alone()))
	if r.snaps, err = openSnapStore(r); err != nil {
		return err
	}
	if err := r.owned(); err != nil {
		return err
	}
	r.log.placeholder = r.snaps.placeholder
	if r.fsm, err = openFSM(r); err != nil {
		return err
	}
	if err := r.finishInstall(); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	if r.transport, err = newTransport(c, r.snaps.placeholder); err != nil {
		return err
	}
	r.transport.keep = r.keep
	conf := r.raftConfig()
	if err := r.bootstrap(conf); err != nil {
		return err
	}
	r.compactor.init(r)
	if r.raft, err = raft.NewRaft(conf, r.fsm, r.log, r.log, r.snaps, r.transport); err != nil {
		return err
	}
	if len(r.raft.GetConfiguration().Configuration().Servers) != 1 {
		r.share()
	}
	return nil
}

// The entries that are kept for followers when the log is compacted, unless the config says otherwise.
const (
	trailingAlone  = 128
	trailingShared = 1024
)

func (r *Replica) alone() uint64 {
	if r.cfg.Single {
		return trailingAlone
	}
	return trailingShared
}

// share begins to keep what other members need. A group that was alone stays so until its leader adds one.
func (r *Replica) share() {
	r.trailing.Store(cmpOr(r.cfg.TrailingLogs, trailingShared))
	r.log.remember()
}

// finishInstall restores a received snapshot whose restore a crash cut short, and removes what nobody refers to.
func (r *Replica) finishInstall() error {
	m := r.snaps.current()
	if m != nil && m.pending != "" && r.cfg.hooks.noSpool {
		_ = r.snaps.restored()
	} else if m != nil && m.pending != "" {
		r.cfg.Logger.Warn("a received snapshot is restored again", "group", r.cfg.Name, "index", m.Index)
		if m.tables == 0 {
			if err := r.snaps.convert(); err != nil {
				return fmt.Errorf("the received snapshot: %w", err)
			}
		}
		if err := r.fsm.Restore(nil); err != nil {
			return fmt.Errorf("restoring the received snapshot: %w", err)
		}
		r.cfg.hooks.at("install finished at start")
	}
	return r.snaps.sweep()
}

// check refuses data that do not belong together: raft would not notice, and lose entries without an error.
func (r *Replica) check() error {
	first, last := r.log.bounds()
	applied, floor := r.fsm.applied.Load(), r.fsm.floor
	var index, content uint64
	if m := r.snaps.current(); m != nil {
		index, content = m.Index, m.content
	}
	switch {
	case r.cfg.hooks.noCheck:
		return nil
	case max(floor, applied) < index:
		return fmt.Errorf("the state is at entry %d, but the log was compacted up to entry %d: the state database was lost or replaced. "+
			"Remove this node from the cluster and add it again", max(floor, applied), index)
	case first > index+1:
		return fmt.Errorf("the log begins at entry %d, but the snapshot ends at entry %d: the log database is damaged", first, index)
	case applied > max(last, index, content):
		return fmt.Errorf("the state is at entry %d, but the log ends at entry %d: the log database was lost or replaced. "+
			"Remove this node from the cluster and add it again", applied, max(last, index))
	}
	return nil
}

// bootstrap creates the group if it has no state and that is asked for.
func (r *Replica) bootstrap(conf *raft.Config) error {
	has, err := raft.HasExistingState(r.log, r.log, r.snaps)
	if err != nil {
		return err
	}
	if !has && !r.cfg.Join && !r.cfg.Bootstrap {
		return ErrNoState
	}
	if err := r.claim(); err != nil || has || r.cfg.Join {
		return err
	}
	// Term and first entry are written as one: a crash between them would leave a group that has state but no members.
	staged := &stagedStore{logStore: r.log, batch: r.log.db.NewBatch()}
	defer staged.batch.Close()
	server := raft.Server{ID: raft.ServerID(r.cfg.ID), Address: r.transport.LocalAddr()}
	return raft.BootstrapCluster(conf, staged, staged, r.snaps, r.transport, raft.Configuration{Servers: []raft.Server{server}})
}

func (r *Replica) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(r.cfg.ID)
	c.HeartbeatTimeout = r.cfg.Heartbeat
	c.ElectionTimeout = r.cfg.Heartbeat
	c.LeaderLeaseTimeout = r.cfg.Heartbeat // a busy machine is late; that nobody else leads is made sure by Verify and by base
	c.CommitTimeout = r.cfg.CommitTimeout
	c.MaxAppendEntries = 64
	c.BatchApplyCh = true
	c.NoSnapshotRestoreOnStart = true // apply goes on from the applied index that is kept with the state
	c.NoLegacyTelemetry = true
	c.ShutdownOnRemove = false // futures of a raft that stops by itself would hang
	c.TrailingLogs = r.trailing.Load()
	c.SnapshotInterval = 24 * time.Hour // we say when: by entries and bytes, see compactor
	c.SnapshotThreshold = math.MaxUint64
	c.Logger = newLogger(r.cfg.Logger, r.cfg.Name, nil)
	return c
}

func (r *Replica) onlyVoter() bool {
	voters, self := 0, false
	for _, s := range r.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters++
			self = self || string(s.ID) == r.cfg.ID
		}
	}
	return voters == 1 && self
}

// otherVoters reports whether leadership can be handed to somebody.
func (r *Replica) otherVoters() bool {
	for _, s := range r.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter && string(s.ID) != r.cfg.ID {
			return true
		}
	}
	return false
}

// Bounds on the parts of Close.
const (
	compactTimeout = 10 * time.Second
	stopTimeout    = 10 * time.Second
)

// closeCompaction is the number of entries since the last compaction from which on Close compacts: they would be read at the next start.
const closeCompaction = 256

// Close hands leadership to another voter if there is one, compacts a log that would make the next start slow, and stops raft. It is
// bounded in time; on an error parts of the replica may still run, and the store must not be closed.
func (r *Replica) Close() error {
	r.closed.Do(func() {
		if r.raft.State() == raft.Leader && r.otherVoters() {
			if err := r.Transfer(""); err != nil {
				r.cfg.Logger.Warn("leadership was not handed over", "group", r.cfg.Name, "error", err)
			}
		}
		r.closing.Store(true)
		if r.sinceCompaction() >= closeCompaction && !r.broken.Load() {
			_ = within(compactTimeout, r.compact) // only speeds up the next start
		}
		r.closeErr = r.stop()
	})
	return r.closeErr
}

// stop ends raft as a crash would, and waits for it.
func (r *Replica) stop() error {
	r.closing.Store(true)
	// First of all, because raft goes on for a moment after it was told to stop: an install that the stop has cut short would leave it with
	// less applied than its log begins with, and with the next request it would panic.
	r.transport.stop()
	err := within(stopTimeout, func() error {
		stopped := r.raft.Shutdown()
		r.transport.sever() // raft waits for its requests, which may wait for others
		err := stopped.Error()
		r.streams.Wait()
		return err
	})
	r.raft.DeregisterObserver(r.observer)
	close(r.done)
	if err != nil {
		return fmt.Errorf("replica %s: stopping: %w", r.cfg.Name, err)
	}
	return nil
}

// within runs fn and waits for it no longer than d. It counts ticks and does not look at the clock: a machine that is suspended, or that
// stands still, does not use the time up.
func within(d time.Duration, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	tick := time.NewTicker(d / 100)
	defer tick.Stop()
	for range 100 {
		select {
		case err := <-done:
			return err
		case <-tick.C:
		}
	}
	return fmt.Errorf("not done after %v", d)
}

// spoolPrefix is how the names of a shard's files in the spool begin.
func spoolPrefix(shard store.ShardID) string { return fmt.Sprintf("%04x-", uint16(shard)) }

func isSpool(name string, shard store.ShardID) bool {
	return strings.HasPrefix(name, spoolPrefix(shard)) && (strings.HasSuffix(name, ".snapshot") || strings.HasSuffix(name, ".sst"))
}
