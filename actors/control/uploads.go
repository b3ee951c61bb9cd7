package control

import (
	"bytes"
	"context"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// Bounds of modules of which parts are stored, and which nobody has registered yet.
const (
	keepUpload = time.Hour // after the last part
	maxUploads = 4         // of one operator; the oldest goes first. Each has at most ticketing.MaxModule bytes, and a part
)

// storedUpload is a module on its way: an interrupted one stays until it is swept.
type storedUpload struct {
	By    ticketing.ID `cbor:"1,keyasint,omitzero"`
	At    time.Time    `cbor:"2,keyasint"`           // of the last part
	Parts uint32       `cbor:"3,keyasint,omitempty"` // up to which number
}

func uploadKey(d ticketing.Digest) shard.Key { return at(tableUpload, d[:]) }

func chunkKey(d ticketing.Digest, n uint32) shard.Key { return at(tableChunk, d[:], number(n)) }

// isRegistered reports whether a module is a version of any plugin. Only keys are read.
func isRegistered(v *shard.View, d ticketing.Digest) (found bool) {
	v.Scan(at(tableDigest), func(k shard.Key, _ func(any)) bool {
		found = bytes.HasSuffix(k, append([]byte{0}, d[:]...))
		return !found
	})
	return found
}

// putChunk stores a part of a module. A module without a registration is not used by anything; sending it again overwrites it. One that is registered
// stays as it is.
func (s *service) putChunk(tx *shard.Tx, c *putChunk) (struct{}, error) {
	if len(c.Bytes) > chunkSize || c.Number >= ticketing.MaxModule/chunkSize+1 {
		return struct{}{}, ticketing.Errorf(ticketing.TooLarge, "A module has at most %d bytes.", ticketing.MaxModule)
	}
	if err := platform(tx); err != nil {
		return struct{}{}, err
	}
	var u storedUpload
	if !tx.Get(uploadKey(c.Digest), &u) {
		if isRegistered(&tx.View, c.Digest) {
			return struct{}{}, nil
		}
		sweep(tx, c.By)
	}
	tx.Put(uploadKey(c.Digest), &storedUpload{By: c.By, At: tx.At(), Parts: max(u.Parts, c.Number+1)})
	tx.Put(chunkKey(c.Digest, c.Number), c.Bytes)
	return struct{}{}, nil
}

// A pendingUpload is a module that is not registered.
type pendingUpload struct {
	digest ticketing.Digest
	storedUpload
}

// pending lists what is not registered, by digest.
func pending(v *shard.View) (all []pendingUpload) {
	v.Scan(at(tableUpload), func(k shard.Key, decode func(any)) bool {
		p := pendingUpload{digest: ticketing.Digest(k[len(k)-len(ticketing.Digest{}):])}
		decode(&p.storedUpload)
		all = append(all, p)
		return true
	})
	return all
}

// sweep takes away what was begun too long ago, and makes room for one more of an operator, if there is one. It returns how many modules have gone.
func sweep(tx *shard.Tx, by ticketing.ID) (gone int) {
	all := pending(&tx.View)
	kept := all[:0]
	for _, p := range all {
		if tx.At().Sub(p.At) >= keepUpload {
			drop(tx, &p)
			gone++
		} else if p.By == by {
			kept = append(kept, p)
		}
	}
	for ; !by.IsZero() && len(kept) >= maxUploads; gone++ {
		oldest := 0
		for i := range kept {
			if kept[i].At.Before(kept[oldest].At) {
				oldest = i
			}
		}
		drop(tx, &kept[oldest])
		kept = append(kept[:oldest], kept[oldest+1:]...)
	}
	return gone
}

// drop deletes the parts of a module, unless it was registered meanwhile by a program that keeps no record of parts.
func drop(tx *shard.Tx, p *pendingUpload) {
	tx.Delete(uploadKey(p.digest))
	if isRegistered(&tx.View, p.digest) {
		return
	}
	for n := range p.Parts {
		tx.Delete(chunkKey(p.digest, n))
	}
}

type sweepUploads struct {
	ticketing.Meta `cbor:"1,keyasint"`
}

// markRecorded is put when all parts have a record. Those that a program before records left have none, and cannot come once the platform is in use.
const markRecorded = "parts of modules are recorded"

// sweepUploads takes old parts away. Parts of which there is no record get one, and go in their turn.
func (s *service) sweepUploads(tx *shard.Tx, _ *sweepUploads) (int, error) {
	if err := platform(tx); err != nil {
		return 0, err
	}
	if !tx.Has(at(tableMark, []byte(markRecorded))) {
		recordParts(tx)
		tx.Put(at(tableMark, []byte(markRecorded)), true)
	}
	return sweep(tx, ticketing.ID{}), nil
}

// recordParts makes a record of every module that has none and is not registered.
func recordParts(tx *shard.Tx) {
	parts := map[ticketing.Digest]uint32{}
	var order []ticketing.Digest
	tx.Scan(at(tableChunk), func(k shard.Key, _ func(any)) bool {
		end := len(k) - 4
		d := ticketing.Digest(k[end-len(ticketing.Digest{}) : end])
		if parts[d]++; parts[d] == 1 {
			order = append(order, d)
		}
		return true
	})
	for _, d := range order {
		if !tx.Has(uploadKey(d)) && !isRegistered(&tx.View, d) {
			tx.Put(uploadKey(d), &storedUpload{At: tx.At(), Parts: ticketing.MaxModule/chunkSize + 1})
		}
	}
}

// oldestUpload returns when the last part of the oldest module came that is not registered; zero if there is none, and long ago if there may
// be parts without a record.
func (s *service) oldestUpload(v *shard.View, _ *nothing) (oldest time.Time, err error) {
	if !v.Has(at(tableMark, []byte(markRecorded))) {
		return time.Unix(0, 0), nil
	}
	for _, p := range pending(v) {
		if oldest.IsZero() || p.At.Before(oldest) {
			oldest = p.At
		}
	}
	return oldest, nil
}

// SweepUploads takes the parts of modules away that were never registered, if it is time.
func (c Client) SweepUploads(ctx context.Context, now time.Time) (gone int, err error) {
	oldest, err := system.Query[time.Time](ctx, c.sys, Name, 0, opOldestUpload, &nothing{})
	if err != nil || oldest.IsZero() || now.Sub(oldest) < keepUpload {
		return 0, err
	}
	gone, _, err = system.Command[int](ctx, c.sys, Name, 0, opSweepUploads, &sweepUploads{Meta: ticketing.Meta{At: now.UTC().Truncate(time.Millisecond)}})
	return gone, err
}
