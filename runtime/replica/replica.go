package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// Log is what a shard needs of its replica: an order of commands that survives. [Replica] is the engine, [Model] its test double.
type Log interface {
	// Propose commits a command and returns what [StateMachine.Apply] returned for it here, and its index in the log. It blocks until
	// the command is committed and applied. ErrNotLeader: it was certainly not committed. ErrUnknown: it may have been, or may yet be.
	// The data belongs to the log from the call on; nobody may change it. Propose never hangs after Close.
	Propose(data []byte) (result any, index uint64, err error)
	// Verify makes sure, by a check that begins after the call, that this node still leads. What Lead and Propose have made visible
	// here is then the newest there is. The error is ErrNotLeader.
	Verify() error
	// Lead returns nil when this node leads and has applied every command committed before, and ErrNotLeader otherwise, or when ctx
	// ends before that is known.
	Lead(ctx context.Context) error
	// Leadership pulses when leadership, or what this node knows of it, may have changed. It is a hint, of which the newest is kept; the
	// truth is asked with Lead.
	Leadership() <-chan struct{}
	// Leader returns the node that leads as far as this one knows ("" if none), and whether this very replica does.
	Leader() (node string, self bool)
	// Transfer hands leadership to another voter by its ID, whichever is most up to date if it is empty. It fails if there is none.
	Transfer(id string) error
	// Applied returns the index of the last command that is applied and visible here.
	Applied() uint64
	// DB returns the database that holds the state.
	DB() *pebble.DB
	// Close stops the replica. Calls in progress return.
	Close() error
}

var (
	// ErrNotLeader says that nothing was done: another node leads, or none.
	ErrNotLeader = errors.New("replica: this node does not lead")
	// ErrUnknown says that it is unknown whether the command was or will be committed.
	ErrUnknown = errors.New("replica: the outcome is unknown")
	// ErrNoState says that the group has no state here and may not be created: a cluster is created once.
	ErrNoState = errors.New("replica: the group has no data on this node, and was not to be created")
)

// StateMachine is the shard on top of a replica. Calls come one at a time.
type StateMachine interface {
	// Apply adds the effects of the committed command at index to b, which also gets the applied index and is committed as one. It
	// returns what Propose returns. It must be a pure function of the state and data: it reads the database, which holds exactly the
	// commands before this one, but no clock and no randomness. data may be kept, but not changed.
	Apply(index uint64, data []byte, b *pebble.Batch) (result any)
	// Applied is called after the batch is visible.
	Applied(index uint64)
	// Restored is called after a snapshot replaced the state.
	Restored()
}

// Config is what a replica is made of.
type Config struct {
	Node      string         // this node's name, which is also its address, such as "n1"
	ID        string         // the replica's ID in the group, never used again for one that lost its data; default Node
	Shard     store.ShardID  // names the group within the node's databases
	Name      string         // for logs, such as "comments/03"
	Store     *store.Node    // the node's databases
	Service   string         // whose state database holds the shard
	Machine   StateMachine   // constructed from what the state database holds
	Network   Network        // how other replicas are reached; nil: not at all
	Transport raft.Transport // in place of Network, for tests. Must support pre-vote; Close closes it if it has a Close method
	Bootstrap bool           // create the group with this node as the only voter if it has no state
	Join      bool           // begin without state and wait until the group's leader adds this node
	Single    bool           // if the group has no other member, lead at once, and keep nothing for others until one is added
	Changed   func()         // called like Leadership pulses, from within raft: must return at once; may be nil
	Fatal     func(error)    // told about storage errors and impossible states; must not return in production; default Store.Fatal
	Logger    *slog.Logger   // default slog.Default()
	Pace      *Pace          // of the snapshots that this node sends, one for all its replicas; nil: as fast as they can

	Heartbeat         time.Duration // silence after which followers elect; default 2 s
	CommitTimeout     time.Duration // a quiet leader tells followers after this what is committed; default 250 ms
	SnapshotThreshold uint64        // entries after which the log is compacted; default 8192, plus up to a quarter by shard
	SnapshotBytes     uint64        // bytes of entries after which the log is compacted; default 64 MiB
	TrailingLogs      uint64        // entries kept for followers when the log is compacted; default 1024, or 128 while Single and alone

	hooks *hooks // tests only
}

// Replica is one node's copy of a shard. Its methods are safe for use from everywhere.
type Replica struct {
	Traffic Traffic // what it has received so far

	cfg       Config
	db        *pebble.DB
	log       *logStore
	snaps     *snapStore
	fsm       *fsm
	transport *transport
	raft      *raft.Raft
	observer  *raft.Observer
	trailing  atomic.Uint64 // entries to keep for followers when the log is compacted
	pulse     chan struct{}
	done      chan struct{} // closed when raft has stopped
	closing   atomic.Bool
	closed    sync.Once
	closeErr  error
	led       atomic.Uint64 // term in which Lead has succeeded
	handing   sync.Mutex    // held while leadership is handed over
	refusing  atomic.Bool   // nothing more is appended to the log, so that the next leader can catch up
	appending atomic.Int64  // calls that append to the log, and do not know yet what became of it
	broken    atomic.Bool   // a fatal error was reported; only seen if Fatal returned, which it does in tests
	streams   sync.WaitGroup
	compactor
}

var _ Log = (*Replica)(nil)

// fatal ends the process.
func (r *Replica) fatal(err error) {
	if !r.broken.Swap(true) {
		r.cfg.Fatal(fmt.Errorf("replica %s: %w", r.cfg.Name, err))
	}
}

// Propose implements [Log].
func (r *Replica) Propose(data []byte) (any, uint64, error) {
	if r.closing.Load() || r.broken.Load() || !r.enter() {
		return nil, 0, ErrNotLeader
	}
	defer r.leave()
	defer r.cfg.Pace.begin()()
	f := r.raft.Apply(data, 0)
	switch err := r.await(f); {
	case err == nil:
		if _, failed := f.Response().(failure); failed {
			return nil, 0, ErrUnknown
		}
		return f.Response(), f.Index(), nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return nil, 0, ErrNotLeader // answered before the command was appended anywhere
	default:
		return nil, 0, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
}

// await waits for a future, but not longer than raft runs: futures that are queued when it stops are never answered.
func (r *Replica) await(f raft.Future) error {
	answer := make(chan error, 1)
	go func() { answer <- f.Error() }()
	select {
	case err := <-answer:
		return err
	case <-r.done:
	}
	select { // raft has stopped; an answer that came before that counts
	case err := <-answer:
		return err
	default:
		return raft.ErrRaftShutdown
	}
}

// Leadership implements [Log].
func (r *Replica) Leadership() <-chan struct{} { return r.pulse }

// Leader implements [Log].
func (r *Replica) Leader() (string, bool) {
	node, id := r.raft.LeaderWithID()
	return string(node), string(id) == r.cfg.ID
}

// Applied implements [Log].
func (r *Replica) Applied() uint64 { return r.fsm.applied.Load() }

// DB implements [Log].
func (r *Replica) DB() *pebble.DB { return r.db }

// watch passes on what raft signals, until raft has stopped.
func (r *Replica) watch() {
	for {
		select {
		case <-r.raft.LeaderCh():
		case <-r.due:
			r.startCompaction()
			continue
		case <-r.done:
			r.signal()
			return
		}
		r.signal()
	}
}

// observe passes on what raft notices about the leader, also on followers. The filter itself does it, in raft's goroutine.
func (r *Replica) observe() {
	r.observer = raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if _, ok := o.Data.(raft.LeaderObservation); ok {
			r.signal()
		}
		return false
	})
	r.raft.RegisterObserver(r.observer)
}

// signal leaves one pulse.
func (r *Replica) signal() {
	if r.cfg.Changed != nil {
		r.cfg.Changed()
	}
	select {
	case r.pulse <- struct{}{}:
	default:
	}
}
