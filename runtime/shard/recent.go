package shard

import "ticketing/runtime/store"

// recentBytes bounds one generation of recent, keys and values together.
const recentBytes = 64 << 10

// recent holds values that the last entries wrote or that were asked for since, so that what follows a write within moments (a decision, a
// cursor, the same author's next comment) is not searched for in the store. It is what the state was after the entry base; a batch that
// rests on another entry makes it forget everything, so nothing in it is ever older than the state. Two generations bound it: when
// the young one is full it becomes the old one, and what is found in the old one moves up.
type recent struct {
	base       uint64            // index of the entry
	young, old map[string][]byte // kind + key → value, nil: there is none
	bytes      int               // in young
	empty      map[string][]byte // an overlay that the next batch may use
}

// cached reports whether values of a kind are kept: those that are only ever changed key by key.
func cached(kind store.Kind) bool { return kind == store.KindState || kind == store.KindCursor }

// get returns what is known of a key; ok is false if that is nothing. key is kind + key.
func (r *recent) get(key []byte) (val []byte, ok bool) {
	if val, ok = r.young[string(key)]; ok {
		return val, true
	}
	if val, ok = r.old[string(key)]; ok {
		r.put(string(key), val)
	}
	return val, ok
}

// put takes over a committed value, which nobody may change afterwards.
func (r *recent) put(key string, val []byte) {
	if r.bytes >= recentBytes || r.young == nil {
		r.young, r.old, r.bytes = make(map[string][]byte, len(r.young)), r.young, 0
	}
	r.young[key] = val
	r.bytes += len(key) + len(val)
}

// at makes what is known that of the state after an entry.
func (r *recent) at(base uint64) {
	if r.base != base {
		*r = recent{base: base, empty: r.empty}
	}
}

// commit takes over what a batch wrote, which became the entry of an index.
func (r *recent) commit(b *batch, index uint64) {
	r.at(b.base.Base)
	for k, v := range b.overlay {
		if cached(store.Kind(k[0])) {
			r.put(k, v)
		}
	}
	r.base = index
}

// maxSpare bounds the overlay that is kept: clearing a map costs as much as it ever held.
const maxSpare = 512

// spare returns an empty overlay.
func (r *recent) spare() map[string][]byte {
	o := r.empty
	if r.empty = nil; o == nil {
		o = make(map[string][]byte, 64)
	}
	return o
}

// reuse takes an overlay back that nobody needs any more.
func (r *recent) reuse(overlay map[string][]byte) {
	if len(overlay) <= maxSpare {
		clear(overlay)
		r.empty = overlay
	}
}
