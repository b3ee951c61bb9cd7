package cluster

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"ticketing/runtime/store"
)

// rng is a source of chance that several goroutines may use.
type rng struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newRng(seed, stream uint64) *rng { return &rng{r: rand.New(rand.NewPCG(seed, stream))} }

func (r *rng) IntN(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.IntN(n)
}

// permille reports true n times of a thousand.
func (r *rng) permille(n int) bool { return n > 0 && r.IntN(1000) < n }

// upTo returns a time in [0, d].
func (r *rng) upTo(d time.Duration) time.Duration { return time.Duration(r.IntN(int(d) + 1)) }

// between returns a time in [lo, hi].
func (r *rng) between(lo, hi time.Duration) time.Duration { return lo + r.upTo(hi-lo) }

// pick returns one of some values.
func pick[T any](r *rng, of ...T) T { return of[r.IntN(len(of))] }

// weather is how the network treats messages on the whole, in thousandths and virtual time.
type weather struct {
	drop, double, late int
	delay              time.Duration // at most; a late message takes up to twenty times as long
}

// network connects the nodes. Between two nodes it can be cut in either direction.
type network struct {
	rng *rng
	sum *tally

	mu    sync.Mutex
	sky   weather
	cut   map[[2]string]bool // from, to
	ports map[place]*port
}

// place names a replica's node and shard: only one replica of a shard can be on a node.
type place struct {
	node  string
	shard store.ShardID
}

var (
	errDead    = errors.New("this node is dead")
	errTimeout = errors.New("no answer in time")
)

func newNetwork(r *rng, sky weather, sum *tally) *network {
	return &network{rng: r, sky: sky, sum: sum, cut: map[[2]string]bool{}, ports: map[place]*port{}}
}

// passes reports whether the way from one node to another is open.
func (n *network) passes(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[[2]string{from, to}]
}

// sever cuts the ways from some nodes to others, not those back.
func (n *network) sever(from, to []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range from {
		for _, b := range to {
			if a != b {
				n.cut[[2]string{a, b}] = true
			}
		}
	}
}

// heal opens all ways.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
}

// turn changes the weather and returns what it was.
func (n *network) turn(sky weather) (was weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	was, n.sky = n.sky, sky
	return was
}

func (n *network) weather() weather {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sky
}

// delay is how long a message takes.
func (n *network) delay() time.Duration {
	sky := n.weather()
	if n.rng.permille(sky.late) {
		return n.rng.upTo(20 * sky.delay)
	}
	return n.rng.upTo(sky.delay)
}

// carry takes a message from one node to another: arrive is called when it is there, in a goroutine of its own, never, or twice if the
// message may be doubled. What a node sends to itself arrives always.
func (n *network) carry(from, to string, arrive func(), mayDouble bool) {
	copies := 1
	if from != to {
		sky := n.weather()
		if !n.passes(from, to) {
			return
		}
		if n.rng.permille(sky.drop) {
			n.sum.add("messages dropped", 1)
			return
		}
		if mayDouble && n.rng.permille(sky.double) {
			n.sum.add("messages doubled", 1)
			copies = 2
		}
	}
	for range copies {
		go func() {
			if from != to {
				time.Sleep(n.delay())
				if !n.passes(from, to) {
					return
				}
			}
			arrive()
		}()
	}
}

// nodeOf returns the node of a Raft server: IDs are the node's name, or that and a number that is used once.
func nodeOf(id string) string {
	node, _, _ := strings.Cut(id, ".")
	return node
}

// torn is a snapshot's stream on its way. It takes time, and ends early when a node dies, when the way is cut, or by chance.
type torn struct {
	io.Reader
	net      *network
	from, to *port
	left     int // bytes until it is torn; negative: it is not
}

var errTorn = errors.New("the connection broke")

func (s *torn) Read(p []byte) (int, error) {
	time.Sleep(s.net.delay() / 4)
	if s.from.silent() || s.to.silent() || !s.net.passes(s.from.node.name, s.to.node.name) || s.left == 0 {
		s.net.sum.add("snapshot streams torn", 1)
		return 0, errTorn
	}
	p = p[:min(len(p), 1<<10)]
	if s.left > 0 {
		p = p[:min(len(p), s.left)]
	}
	n, err := s.Reader.Read(p)
	if s.left > 0 {
		s.left -= n
	}
	return n, err
}
