package cluster

import (
	"sync"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// How clients behave.
const (
	tryTimeout    = time.Second      // of one try
	clientTimeout = 15 * time.Second // until they give up, and do not know the outcome
)

// history is what the clients know: what was asked, and what was answered.
type history struct {
	oracle *oracle
	mu     sync.Mutex
	asked  map[uint64]*add         // by number
	counts map[uint64]uint64       // number → count in the acknowledgement
	floor  map[ticketing.ID]uint64 // item → highest count that was acknowledged or read
	order  []uint64                // numbers of acknowledged additions
}

func newHistory(o *oracle) *history {
	return &history{oracle: o, asked: map[uint64]*add{}, counts: map[uint64]uint64{}, floor: map[ticketing.ID]uint64{}}
}

// begin notes that an addition is asked for.
func (h *history) begin(c *add) (floor uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked[c.Num] = c
	return h.floor[c.Item]
}

func (h *history) low(item ticketing.ID) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.floor[item]
}

// acknowledged notes a reply; floor is what was known before the addition was first asked for.
func (h *history) acknowledged(c *add, r added, floor uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, again := h.counts[c.Num]
	switch {
	case r.Num != c.Num:
		h.oracle.fail("addition %d: the reply is that of %d", c.Num, r.Num)
	case again && was != r.Count:
		h.oracle.fail("addition %d: the replies differ, %d and %d", c.Num, was, r.Count)
	case !again && r.Count <= floor:
		h.oracle.fail("addition %d: count %d, but %d was known before", c.Num, r.Count, floor)
	}
	if again {
		return
	}
	h.counts[c.Num] = r.Count
	h.order = append(h.order, c.Num)
	h.floor[c.Item] = max(h.floor[c.Item], r.Count)
}

// read notes what a query answered.
func (h *history) read(item ticketing.ID, n, floor uint64) {
	if n < floor {
		h.oracle.fail("item %v: count %d was read, but %d was known before", item, n, floor)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.floor[item] = max(h.floor[item], n)
}

// old returns an addition that was acknowledged, nil if none was.
func (h *history) old(r *rng) *add {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.order) == 0 {
		return nil
	}
	return h.asked[h.order[r.IntN(len(h.order))]]
}

// client asks the cluster, one request after another.
type client struct {
	w    *world
	hint map[store.ShardID]string // who led last
}

func (c *client) run() {
	for !c.w.stopping.Load() {
		switch r := c.w.chance.IntN(20); {
		case r < 3:
			c.count()
		case r < 5:
			c.again()
		case r < 6:
			c.twice()
		default:
			c.add(c.w.newAdd())
		}
		time.Sleep(c.w.chance.upTo(c.w.think))
	}
}

// add asks for an addition until its outcome is known or time is up.
func (c *client) add(cmd *add) {
	floor := c.w.history.begin(cmd)
	reply, ok := c.ask(cmd.Item, opAdd, cmd)
	c.w.sum.add("commands", 1)
	switch {
	case !ok:
		c.w.sum.add("commands of unknown outcome", 1)
	case cmd.Fail:
		if ticketing.KindOf(reply.Err) != ticketing.Conflict {
			c.w.oracle.fail("addition %d: %v, not refused", cmd.Num, reply.Err)
		}
	case reply.Err != nil:
		c.w.oracle.fail("addition %d: %w", cmd.Num, reply.Err)
	default:
		c.w.history.acknowledged(cmd, reply.Value.(added), floor)
	}
}

// again repeats an addition that was acknowledged: the reply must be the same.
func (c *client) again() {
	if cmd := c.w.history.old(c.w.chance); cmd != nil {
		c.w.sum.add("commands repeated", 1)
		if reply, ok := c.ask(cmd.Item, opAdd, cmd.repeated()); ok && reply.Err == nil {
			c.w.history.acknowledged(cmd, reply.Value.(added), 0)
		} else if ok {
			c.w.oracle.fail("addition %d, repeated: %w", cmd.Num, reply.Err)
		}
	}
}

// twice asks for one addition through two nodes at once.
func (c *client) twice() {
	cmd := c.w.newAdd()
	cmd.Fresh = false
	var both sync.WaitGroup
	for range 2 {
		other := &client{c.w, map[store.ShardID]string{}}
		both.Go(func() { other.add(cmd) })
	}
	both.Wait()
}

func (c *client) count() {
	item := c.w.anyItem(c.w.chance.IntN(len(services)))
	floor := c.w.history.low(item)
	reply, ok := c.ask(item, opCount, &count{item})
	c.w.sum.add("reads", 1)
	if ok && reply.Err == nil {
		c.w.history.read(item, reply.Value.(uint64), floor)
	} else if ok {
		c.w.oracle.fail("reading item %v: %w", item, reply.Err)
	}
}

// ask sends a request to one node after another until one answers; ok is false if the outcome is unknown.
func (c *client) ask(item ticketing.ID, code uint16, cmd any) (reply shard.Reply, ok bool) {
	id := shardOf(item)
	gateway := ""
	for end, again := time.Now().Add(clientTimeout), false; time.Now().Before(end) && !c.w.aborted(); again = true {
		from := c.w.up(gateway)
		if from == nil {
			time.Sleep(tryTimeout / 10)
			continue
		}
		gateway = from.name
		to := c.hint[id]
		if to == "" || c.w.chance.permille(100) {
			to = c.w.anyNode(id)
		}
		reply, hint, answered := c.try(from, to, id, code, cmd, again)
		c.hint[id] = hint
		if answered && !reply.Retry && reply.Err != shard.ErrBusy {
			return reply, true
		}
		if c.w.chance.permille(200) {
			gateway = ""
		}
		time.Sleep(c.w.chance.between(5*time.Millisecond, 100*time.Millisecond))
	}
	return shard.Reply{}, false
}

// try sends a request from one node to another. answered is false if nothing came back in time.
func (c *client) try(from *node, to string, id store.ShardID, code uint16, cmd any, again bool) (reply shard.Reply, hint string, answered bool) {
	type answer struct {
		reply shard.Reply
		hint  string
	}
	answers := make(chan answer, 2)
	local := from.name == to
	c.w.net.carry(from.name, to, func() {
		n := c.w.up(to)
		if n == nil || n.name != to || local && n != from {
			return
		}
		a := answer{reply: shard.Reply{Retry: true}}
		if g := n.group(id); g != nil {
			var ok bool
			if a.reply, ok = g.ask(&shard.Request{Code: code, Cmd: sent(cmd, local), Again: again}); !ok {
				return
			}
			if a.hint = to; a.reply.Retry {
				a.hint = a.reply.Leader
			}
		}
		if n.dead.Load() {
			return
		}
		c.w.net.carry(to, from.name, func() {
			select {
			case answers <- a:
			default: // the second of two
			}
		}, false)
	}, true)
	patience := tryTimeout
	if local {
		// A node hears what becomes of what it asks itself, and has to wait for that: a fresh command that still lies in its mailbox must
		// not meet its own repetition.
		patience = clientTimeout
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case a := <-answers:
		if !from.dead.Load() {
			return a.reply, a.hint, true
		}
	case <-t.C:
	case <-from.gone:
	}
	return shard.Reply{}, "", false
}

// sent is a command as the receiver gets it: that it is fresh is only known within a node.
func sent(cmd any, local bool) any {
	if c, ok := cmd.(*add); ok && !local {
		return c.repeated()
	}
	return cmd
}

// repeated is the command without the promise that nobody has seen it.
func (c *add) repeated() *add {
	r := *c
	r.Fresh = false
	return &r
}
