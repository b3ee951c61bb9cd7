package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash/maphash"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"ticketing"
)

// class is what a route's requests count as. The zero class goes by the method.
type class uint8

const (
	byMethod  class = iota
	reads           // whatever changes nothing
	writes          // by a session
	auth            // proofs of identity: by address here, and by account in attempt
	signUps         // by address
	resets          // by address here, and by account in limitReset
	uploads         // of modules, by operator
	unlimited       // health, and what only operators do in bulk
	resetsOf        // of one account
	classes
)

// quota allows so many at once, and that many again in every period, evenly.
type quota struct {
	name   string
	burst  int64
	period time.Duration
}

// quotas are the limits at scale 1.
var quotas = [classes]quota{
	reads:    {"reads", 600, time.Minute},
	writes:   {"writes", 120, time.Minute},
	auth:     {"auth", 30, time.Minute},
	signUps:  {"sign-ups", 5, time.Hour},
	resets:   {"resets", 10, time.Hour},
	resetsOf: {"resets", 3, time.Hour},
	uploads:  {"uploads", 10, time.Hour},
}

// Wrong passwords for one account: some are free, then every further one costs twice the time of the one before. It makes some 18 in the
// first hour and 4 in every other. There is no end state: whoever has waited may try, a browser that has signed in before does not wait for
// what others did, and a reset of the password is never refused for it.
const (
	freeFailures   = 5
	firstDelay     = time.Second
	lastDelay      = 15 * time.Minute
	failuresExpire = 24 * time.Hour // after the last
)

// Sizes of the table. An entry takes some 80 bytes.
const (
	limitShards = 64
	shardKeys   = 4096
	evictSample = 8
	sweepEvery  = 10 * time.Second // of one shard
)

// limitKey says who is counted, for what.
type limitKey struct {
	class class
	kind  byte // of who: 'a' address, 's' session, 'u' account, 'd' device
	who   [16]byte
}

// limitEntry is what is known of a key.
type limitEntry struct {
	at    int64  // ns: the theoretical arrival time of GCRA; of failures, when the next attempt may be made
	until int64  // ns: when the entry may be forgotten
	count uint32 // failures
}

// limits counts who asks for what. It lives in one gateway: behind several the limits add up.
type limits struct {
	now    func() time.Time
	scale  float64
	local  bool // everybody is on this machine: only wrong passwords are counted
	secret []byte
	seed   maphash.Seed
	shards [limitShards]limitShard
}

type limitShard struct {
	mu      sync.Mutex
	entries map[limitKey]limitEntry
	swept   int64    // ns: when what is over was dropped
	_       [32]byte // two shards do not share a cache line
}

func newLimits(scale float64, local bool, secret []byte, now func() time.Time) *limits {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("limits"))
	l := &limits{now: now, scale: scale, local: local, secret: mac.Sum(nil), seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].entries = make(map[limitKey]limitEntry)
	}
	return l
}

func (l *limits) shard(k limitKey) *limitShard {
	return &l.shards[maphash.Comparable(l.seed, k)%limitShards]
}

// put stores an entry. A full shard first drops what is over, and if nothing is, one of a few entries that will be over soonest: somebody
// who makes up keys pushes out made-up keys before anybody's debts. held: mu
func (s *limitShard) put(k limitKey, e limitEntry, now int64) {
	if _, known := s.entries[k]; !known && len(s.entries) >= shardKeys {
		s.sweep(now)
	}
	s.entries[k] = e
}

// sweep makes room. It looks at all entries now and then only: a full shard must not cost every new key that much. held: mu
func (s *limitShard) sweep(now int64) {
	if now-s.swept >= int64(sweepEvery) {
		s.swept = now
		for k, e := range s.entries {
			if e.until <= now {
				delete(s.entries, k)
			}
		}
	}
	for len(s.entries) >= shardKeys {
		var victim limitKey
		soonest, seen := int64(0), 0
		for k, e := range s.entries {
			if seen == 0 || e.until < soonest {
				victim, soonest = k, e.until
			}
			if seen++; seen == evictSample {
				break
			}
		}
		delete(s.entries, victim)
	}
}

// take counts one request by GCRA. It returns how long to wait until the next one is allowed, 0 if this one is.
func (l *limits) take(k limitKey, q quota) time.Duration {
	if l.scale <= 0 {
		return 0
	}
	now := l.now().UnixNano()
	step := max(1, int64(float64(q.period)/(float64(q.burst)*l.scale)))
	s := l.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := max(now, s.entries[k].at) + step
	if wait := at - now - int64(q.period); wait > 0 {
		return time.Duration(wait)
	}
	s.put(k, limitEntry{at: at, until: at}, now)
	return 0
}

// addressKey counts an IPv4 address as itself, and an IPv6 address as its network of 64 bits: whoever has one address there has them all.
func addressKey(c class, a netip.Addr) limitKey {
	k := limitKey{class: c, kind: 'a', who: a.As16()}
	if !a.Is4() {
		clear(k.who[8:])
	}
	return k
}

// accountKey hides the e-mail address, which may be anything.
func (l *limits) accountKey(c class, email string) limitKey {
	mac := hmac.New(sha256.New, l.secret)
	mac.Write([]byte(email))
	k := limitKey{class: c, kind: 'u'}
	copy(k.who[:], mac.Sum(nil))
	return k
}

// charge counts a request after authentication. What is refused is Limited, with the time to wait.
func (g *Gateway) charge(c *call) error {
	cl := c.route.class
	if cl == byMethod {
		cl = reads
		if unsafeMethod(c.Method()) {
			cl = writes
		}
	}
	l := g.limits
	if cl == unlimited || l.local {
		return nil
	}
	var k limitKey
	switch {
	case cl == uploads && c.who != nil:
		k = limitKey{class: cl, kind: 'u', who: c.who.user}
	case cl <= writes && c.who != nil:
		k = limitKey{class: cl, kind: 's', who: c.who.session}
	default:
		k = addressKey(cl, g.clientAddr(c.RequestCtx))
	}
	return c.limited(quotas[cl], l.take(k, quotas[cl]))
}

// limited turns a time to wait into an error, and says in the reply what the limit is; 0 is no error.
func (c *call) limited(q quota, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	seconds := int64((wait + time.Second - 1) / time.Second)
	c.g.metrics.limited.WithLabelValues(q.name).Inc()
	allowed := max(1, int64(float64(q.burst)*max(c.g.limits.scale, 1e-6)))
	h := &c.Response.Header
	h.Set("RateLimit-Policy", strconv.Quote(q.name)+";q="+strconv.FormatInt(allowed, 10)+";w="+strconv.FormatInt(int64(q.period/time.Second), 10))
	h.Set("RateLimit", strconv.Quote(q.name)+";r=0;t="+strconv.FormatInt(seconds, 10))
	when := "in a second"
	if seconds > 1 {
		when = "in " + strconv.FormatInt(seconds, 10) + " seconds"
	}
	err := ticketing.Errorf(ticketing.Limited, "Too many requests. Try again %s.", when)
	if e, ok := err.(*ticketing.Error); ok {
		e.RetryAfter = wait
	}
	return err
}

// limitReset counts a reset of the password of an account, known or not, by its normalized address.
func (g *Gateway) limitReset(c *call, email string) error {
	return c.limited(quotas[resetsOf], g.limits.take(g.limits.accountKey(resetsOf, email), quotas[resetsOf]))
}
