package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/config"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/system"
)

// Survivor is what a stopped node of a cluster has, for whoever decides whether it should go on without the others.
type Survivor struct {
	Cluster string          `json:"cluster"`
	Node    string          `json:"node"`
	Shards  []SurvivorShard `json:"shards"`
	// Number is of a recovery that was done, or that was begun and not finished; 0: none.
	Number uint64 `json:"number,omitempty"`
	// Skipped are events that will never reach shards that should have had them, because they were dropped where they came from; Kept are
	// events whose effects stay although they are lost themselves. Both are known once a recovery is done.
	Skipped uint64 `json:"skipped"`
	Kept    uint64 `json:"kept"`
}

// SurvivorShard is a shard as the node has it.
type SurvivorShard struct {
	Service string   `json:"service"`
	Shard   int      `json:"shard"`
	Here    bool     `json:"here"`    // the node has a replica
	Replica string   `json:"replica"` // its ID
	Voter   bool     `json:"voter"`
	Others  []string `json:"others"`  // nodes with a vote, as far as this one knows
	Last    uint64   `json:"last"`    // entry of the log that the node has
	Term    uint64   `json:"term"`    // of that entry
	Applied uint64   `json:"applied"` // command; what comes behind it was not known to be committed
}

// Name is the shard's name for people.
func (s *SurvivorShard) Name() string { return system.Name(s.Service, s.Shard) }

// Loss says in words what a recovery may lose of the shard.
func (s *SurvivorShard) Loss() string {
	switch {
	case !s.Here:
		return "this node has no replica of it: everything in it is lost"
	case len(s.Others) == 0:
		return "this node has the only vote: nothing is lost"
	case !s.Voter:
		return fmt.Sprintf("this node has no vote here, so it may be far behind: what the others acknowledged after entry %d of term %d is lost", s.Last, s.Term)
	case s.Last > s.Applied:
		return fmt.Sprintf("what %v acknowledged after entry %d of term %d is lost; entries %d to %d may never have been acknowledged, and are kept", s.Others, s.Last, s.Term, s.Applied+1, s.Last)
	}
	return fmt.Sprintf("what %v acknowledged after entry %d of term %d is lost", s.Others, s.Last, s.Term)
}

// Missing are the shards that the node does not have.
func (s *Survivor) Missing() (names []string) {
	for i := range s.Shards {
		if !s.Shards[i].Here {
			names = append(names, s.Shards[i].Name())
		}
	}
	return names
}

// Survey looks at the data directory of a stopped node, and changes nothing.
func Survey(cfg config.Config, opts Options) (s Survivor, err error) {
	r, err := openRecovery(cfg, opts)
	if err != nil {
		return s, err
	}
	s, err = r.survey()
	return s, errors.Join(err, r.n.store.Close())
}

// Missing says what a recovery does about shards that the node does not have.
type Missing int

const (
	RefuseMissing Missing = iota // nothing is recovered
	EmptyMissing                 // they begin empty
)

// Recover makes a stopped node the only one of its cluster, which has lost the others for good: what they had and this node lacks is lost.
// They must never start again with the data that they have; as members of the cluster they are refused. A recovery that is interrupted
// leaves a directory that [Open] refuses until it is done again.
func Recover(ctx context.Context, cfg config.Config, opts Options, missing Missing) (s Survivor, err error) {
	r, err := openRecovery(cfg, opts)
	if err != nil {
		return s, err
	}
	s, err = r.survey()
	if err == nil && missing == RefuseMissing && len(s.Missing()) > 0 {
		err = fmt.Errorf("this node has no replica of %v; recover a node that has, or say that they shall begin empty", s.Missing())
	}
	if err == nil {
		err = r.run(ctx, &s)
	}
	if err = errors.Join(err, r.n.store.Close()); err != nil {
		return s, err
	}
	// Everything is in place; from now on the directory is an ordinary one.
	r.record.Recovery, r.record.Incarnation, r.record.Control = nil, s.Number, ticketing.ReplicaID(s.Node, s.Number)
	return s, writeCluster(r.n.opts.FS, r.n.cfg.Data, r.record)
}

// recoveryRun is a recovery of a directory whose store is open and nothing else.
type recoveryRun struct {
	n      *Node
	record clusterRecord
	shards []recoveredShard
}

type recoveredShard struct {
	service serviceSpec
	index   int
	id      store.ShardID
	found   bool
}

func (s *recoveredShard) producer() shard.Producer {
	return shard.Producer{Service: s.service.name, Shard: s.index}
}

func openRecovery(cfg config.Config, opts Options) (r *recoveryRun, err error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	r = &recoveryRun{n: &Node{cfg: cfg, opts: opts, log: opts.Log}}
	if r.n.cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return nil, err
	}
	found := false
	if r.record, found, err = readCluster(opts.FS, r.n.cfg.Data); err != nil {
		return nil, err
	}
	switch {
	case !found:
		return nil, fmt.Errorf("%s holds no cluster", cfg.Data)
	case r.record.Creating || r.record.Joining || r.record.Restoring:
		return nil, fmt.Errorf("%s was never a whole node of a cluster: there is nothing to recover", cfg.Data)
	}
	if r.record.Node == "" {
		r.record.Node = soleNode
	}
	r.n.cfg.Shards = r.record.Shards
	r.n.store, err = store.Open(r.n.storeOptions(r.n.cfg))
	return r, err
}

// survey inspects all shards.
func (r *recoveryRun) survey() (Survivor, error) {
	out := Survivor{Cluster: r.record.Cluster, Node: r.record.Node}
	if r.record.Recovery != nil {
		out.Number = r.record.Recovery.Number
	}
	r.shards = nil
	for _, s := range r.n.services() {
		for i := range s.shards {
			one := recoveredShard{service: s, index: i, id: store.NewShardID(s.number, i)}
			seen, found, err := replica.Inspect(r.n.store, s.name, one.id)
			if err != nil {
				return out, err
			}
			id, _, err := replica.StoredID(r.n.store, one.id)
			if err != nil {
				return out, err
			}
			one.found = found
			r.shards = append(r.shards, one)
			out.Shards = append(out.Shards, surveyed(r.record.Node, &one, seen, cmpOr(id, r.record.Node)))
		}
	}
	return out, nil
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func surveyed(node string, s *recoveredShard, seen replica.Inspection, id string) SurvivorShard {
	one := SurvivorShard{Service: s.service.name, Shard: s.index, Here: s.found, Others: []string{}, Last: seen.End(), Term: seen.LastTerm, Applied: seen.Applied}
	if s.found {
		one.Replica = id
	}
	for _, m := range seen.Members {
		switch {
		case m.ID == id:
			one.Voter = m.Voter
		case m.Voter && m.Node != node:
			one.Others = append(one.Others, m.Node)
		}
	}
	slices.Sort(one.Others) // the group's order is of no use to people who compare survivors
	return one
}

// run does it: the logs' ends are applied, records and map are rewritten, and the groups begin anew.
func (r *recoveryRun) run(ctx context.Context, s *Survivor) error {
	if err := r.begin(s); err != nil {
		return err
	}
	if err := r.applyAll(ctx, s.Number); err != nil {
		return err
	}
	renewal := &shard.Renewal{Epoch: s.Number, Logs: map[shard.Producer]shard.Meta{}}
	for i := range r.shards {
		one := &r.shards[i]
		if !one.found {
			continue
		}
		m, err := shard.ReadMeta(r.n.store.State(one.service.name), one.id)
		if err != nil {
			return err
		}
		renewal.Logs[one.producer()] = m
	}
	groups := map[string][]replica.Sole{}
	for i := range r.shards {
		one := &r.shards[i]
		g, err := r.renew(one, renewal, s)
		if err != nil {
			return fmt.Errorf("%s: %w", system.Name(one.service.name, one.index), err)
		}
		groups[one.service.name] = append(groups[one.service.name], g)
	}
	for _, svc := range r.n.services() {
		if err := replica.Seed(r.n.store, svc.name, groups[svc.name]); err != nil {
			return err
		}
	}
	return nil
}

// begin chooses the recovery's number, and notes it: until the end, the node does not start.
func (r *recoveryRun) begin(s *Survivor) error {
	if r.record.Recovery == nil {
		number := uint64(max(r.n.opts.Now().Unix(), 1))
		for i := range r.shards {
			m, err := shard.ReadMeta(r.n.store.State(r.shards[i].service.name), r.shards[i].id)
			if err != nil {
				return err
			}
			number = max(number, m.Epoch+1)
		}
		m, _ := control.ReadMap(r.controlView())
		r.record.Recovery = &recovery{Number: max(number, m.Next)}
	}
	s.Number = r.record.Recovery.Number
	return writeCluster(r.n.opts.FS, r.n.cfg.Data, r.record)
}

func (r *recoveryRun) controlView() *shard.View {
	return shard.NewView(r.n.store.State(control.Name), store.NewShardID(0, 0), r.n.opts.Fatal)
}

// applyAll makes every replica the only voter of its group, and lets it apply what its log holds.
func (r *recoveryRun) applyAll(ctx context.Context, number uint64) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	errs := make([]error, len(r.shards))
	var wg sync.WaitGroup
	for i := range r.shards {
		if r.shards[i].found {
			wg.Go(func() { errs[i] = r.apply(ctx, &r.shards[i], ticketing.ReplicaID(r.record.Node, number)) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *recoveryRun) apply(ctx context.Context, s *recoveredShard, id string) error {
	name := system.Name(s.service.name, s.index)
	if err := replica.Isolate(r.n.store, s.service.name, s.id, id, r.record.Node); err != nil {
		return err
	}
	m, err := shard.NewMachine(s.id, r.n.store.State(s.service.name), r.n.opts.Fatal)
	if err != nil {
		return err
	}
	g, err := replica.Open(replica.Config{ID: id, Node: r.record.Node, Shard: s.id, Name: name, Store: r.n.store, Service: s.service.name, Machine: m,
		Single: true, Fatal: r.n.opts.Fatal, Logger: r.n.log})
	if err != nil {
		return err
	}
	for err = g.Lead(ctx); err != nil && ctx.Err() == nil; err = g.Lead(ctx) {
		select {
		case <-g.Leadership():
		case <-ctx.Done():
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: its log cannot be applied: %w", name, err)
	}
	return errors.Join(err, g.Close())
}

// renew rewrites a shard's records, and returns how its group begins.
func (r *recoveryRun) renew(one *recoveredShard, renewal *shard.Renewal, s *Survivor) (replica.Sole, error) {
	db := r.n.store.State(one.service.name)
	g := replica.Sole{Shard: one.id, ID: ticketing.ReplicaID(s.Node, s.Number), Node: s.Node, Index: 2, Term: 1}
	b := db.NewBatch()
	defer b.Close()
	if !one.found {
		key, value := shard.Meta{First: 1, Epoch: renewal.Epoch}.Record()
		return g, errors.Join(b.Set(store.StateKey(one.id, store.KindMeta, key), value, nil), b.Commit(pebble.NoSync))
	}
	cursors, err := shard.Cursors(db, one.id)
	if err != nil {
		return g, err
	}
	for from, at := range cursors {
		if log, ok := renewal.Logs[from]; ok {
			s.Kept += max(at.Seq, log.Head) - log.Head
			s.Skipped += max(at.Seq+1, log.First) - at.Seq - 1
		}
	}
	if err := renewal.Apply(db, one.id, b); err != nil {
		return g, err
	}
	if one.service.name == control.Name {
		if err := r.renewMap(one.id, s, b); err != nil {
			return g, err
		}
	}
	seen, _, err := replica.Inspect(r.n.store, one.service.name, one.id)
	g.Index, g.Term = max(seen.End()+1, 2), seen.Term+1
	return g, errors.Join(err, b.Commit(pebble.NoSync))
}

// renewMap makes this node the only member.
func (r *recoveryRun) renewMap(id store.ShardID, s *Survivor, b *pebble.Batch) error {
	changes, err := control.Survive(r.controlView(), control.Survivor{Node: s.Node, Number: s.Number, At: r.n.opts.Now().UTC()})
	if err != nil {
		return err
	}
	for _, c := range changes {
		key := store.StateKey(id, store.KindState, slices.Clone(c.Key))
		if c.Value == nil {
			err = errors.Join(err, b.Delete(key, nil))
		} else {
			err = errors.Join(err, b.Set(key, c.Value, nil))
		}
	}
	return err
}
