package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/shard"
)

const controlName = control.Name

// Times of the freeze. Opening the views takes moments, so that a coordinator that dies leaves the cluster without deliveries for a minute
// at most.
const (
	freezeFor   = time.Minute
	thawTimeout = 10 * time.Second
)

// A Source is a running cluster.
type Source interface {
	// Shards returns all shards.
	Shards() []Shard
	// Freeze and Thaw are those of the shard's actor, wherever it leads. Unavailable says that they did not take effect, or may not have.
	Freeze(ctx context.Context, s Shard, id string, until time.Time) error
	Thaw(ctx context.Context, s Shard, id string) error
	// Cut opens a cut of the shard, of a replica that has applied the freeze of the id; when it returns, the view is fixed. Whoever calls it
	// closes it. It is read until the context of [Begin] ends.
	Cut(ctx context.Context, s Shard, id string) (io.ReadCloser, error)
	// Secrets returns the cluster's keys, as [control.RestoreValue] takes them.
	Secrets(ctx context.Context) ([]byte, error)
}

// Options say what is backed up.
type Options struct {
	Version   string // of the program
	Cluster   string // id of the cluster
	Shards    int    // of every service but control
	Recipient string // encrypts the cluster's keys (age); empty: they are left out
	Now       func() time.Time
}

// A Running backup holds a view of every shard. It is closed by whoever began it.
type Running struct {
	manifest Manifest
	keys     []byte
	shards   []Shard
	cuts     []io.ReadCloser // in the order of shards
}

// Begin fixes what is backed up: it freezes all shards, opens a view of each, and thaws them. An error means that nothing is frozen any
// more, or will be for longer than a minute; Unavailable that it may be tried again.
func Begin(ctx context.Context, src Source, o Options) (r *Running, err error) {
	const op = "backup.Begin"
	r = &Running{shards: src.Shards()}
	defer func() {
		if err != nil {
			_ = r.Close()
		}
	}()
	r.manifest = Manifest{Format: Format, Version: o.Version, Cluster: o.Cluster, Created: o.Now().UTC().Truncate(time.Millisecond), Shards: o.Shards}
	if r.keys, err = sealedKeys(ctx, src, o.Recipient); err != nil {
		return r, ticketing.Wrap(op, err)
	}
	// From the last service to control; see the package's comment.
	slices.SortFunc(r.shards, func(a, b Shard) int { return int(b.ID()) - int(a.ID()) })
	id := rand.Text()
	defer r.thaw(ctx, src, id)
	until := o.Now().Add(freezeFor)
	err = each(r.shards, func(s Shard) error { return src.Freeze(ctx, s, id, until) })
	if err != nil {
		return r, ticketing.Wrap(op, err)
	}
	for _, s := range r.shards {
		c, err := src.Cut(ctx, s, id)
		if err != nil {
			return r, ticketing.Wrap(op, err)
		}
		r.cuts = append(r.cuts, c)
	}
	return r, nil
}

// thaw lets all shards go on. What fails ends by itself within the freeze's time.
func (r *Running) thaw(ctx context.Context, src Source, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), thawTimeout)
	defer cancel()
	_ = each(r.shards, func(s Shard) error { return src.Thaw(ctx, s, id) })
}

// each calls fn for all shards at once, and returns the first error in their order.
func each(shards []Shard, fn func(Shard) error) error {
	errs := make([]error, len(shards))
	var wg sync.WaitGroup
	for i, s := range shards {
		wg.Go(func() { errs[i] = fn(s) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%v: %w", shards[i], err)
		}
	}
	return nil
}

// Progress is how far a backup or a restore is.
type Progress struct {
	Shards, Total int   // done, and of how many; Total is 0 while nobody knows
	Bytes         int64 // of cuts
}

// Write reads the views into an archive, checks that they belong together, and closes the archive. progress may be nil.
func (r *Running) Write(to Archive, progress func(Progress)) (Manifest, error) {
	cuts := map[shard.Producer]shard.CutInfo{}
	done := Progress{Total: len(r.shards)}
	for i, s := range r.shards {
		p := &parts{to: to, shard: s, wrote: func(n int) {
			done.Bytes += int64(n)
			if progress != nil {
				progress(done)
			}
		}}
		info, err := shard.ReadCut(io.TeeReader(r.cuts[i], p), s.ID(), nil)
		if err = errors.Join(err, p.flush()); err != nil {
			return r.manifest, fmt.Errorf("%v: %w", s, err)
		}
		cuts[s.producer()] = info
		r.manifest.Cuts = append(r.manifest.Cuts, Cut{Service: s.Service, Number: s.Number, Shard: s.Index,
			Applied: info.Applied, Epoch: info.Epoch, First: info.First, Head: info.Head, Parts: p.files})
		done.Shards++
	}
	if err := shard.CheckCuts(cuts); err != nil {
		return r.manifest, fmt.Errorf("the cuts do not belong together: %w", err)
	}
	if progress != nil {
		progress(done)
	}
	return r.manifest, finish(to, &r.manifest, r.keys)
}

// finish writes what comes behind the cuts.
func finish(to Archive, m *Manifest, keys []byte) error {
	m.Keys = nil
	if keys != nil {
		f := fileOf(keysName, keys)
		m.Keys = &f
		if err := to.Put(keysName, keys); err != nil {
			return err
		}
	}
	manifest, sum, err := m.encode()
	if err != nil {
		return err
	}
	if err := to.Put(manifestName, manifest); err != nil {
		return err
	}
	if err := to.Put(sumName, sum); err != nil {
		return err
	}
	return to.Close()
}

// Close ends the use of the views.
func (r *Running) Close() error {
	var errs []error
	for _, c := range r.cuts {
		errs = append(errs, c.Close())
	}
	r.cuts = nil
	return errors.Join(errs...)
}

// parts cuts a stream into files.
type parts struct {
	to    Archive
	shard Shard
	wrote func(n int)
	buf   []byte
	files []File
}

func (p *parts) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(len(rest), partSize-len(p.buf))
		p.buf = append(p.buf, rest[:n]...)
		rest = rest[n:]
		if len(p.buf) == partSize {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}

func (p *parts) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	f := fileOf(partName(p.shard, len(p.files)), p.buf)
	if err := p.to.Put(f.Name, p.buf); err != nil {
		return err
	}
	p.files = append(p.files, f)
	p.wrote(len(p.buf))
	p.buf = p.buf[:0]
	return nil
}
