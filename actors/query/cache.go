package query

import (
	"sync"

	"ticketing"
)

// A cache keeps what was used lately, up to a cost, in two generations: when the younger one holds half of the bound, it becomes the
// older one and that is dropped. Items found in the older one move to the younger.
//
// The writer puts values after it has committed them; readers fill in what they found in the DB, unless something was put since they
// missed it, because then theirs may be old.
type cache[V any] struct {
	mu         sync.Mutex
	young, old map[ticketing.ID]cached[V]
	size, max  int // cost of young; bound of both
	puts       uint64
}

type cached[V any] struct {
	v    V
	cost int
}

func newCache[V any](limit int) *cache[V] {
	return &cache[V]{young: map[ticketing.ID]cached[V]{}, max: limit}
}

// get finds a value. On a miss, since is what fill wants to know.
func (c *cache[V]) get(id ticketing.ID) (v V, ok bool, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[id]
	if !ok {
		if e, ok = c.old[id]; ok {
			c.set(id, e)
		}
	}
	return e.v, ok, c.puts
}

// put sets a committed value.
func (c *cache[V]) put(id ticketing.ID, v V, cost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.puts++
	c.set(id, cached[V]{v, cost})
}

// fill sets a value that a reader found in the DB after get missed it.
func (c *cache[V]) fill(id ticketing.ID, v V, cost int, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.puts == since {
		c.set(id, cached[V]{v, cost})
	}
}

// set is held: mu.
func (c *cache[V]) set(id ticketing.ID, e cached[V]) {
	if have, ok := c.young[id]; ok {
		c.size -= have.cost
	} else if c.size > c.max/2 {
		c.old, c.young, c.size = c.young, make(map[ticketing.ID]cached[V], len(c.young)/2), 0
	}
	c.young[id] = e
	c.size += e.cost
}
