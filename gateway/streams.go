package gateway

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"

	"ticketing"
)

// maxStreams is how many streams one session may have open.
const maxStreams = 4

// timing is how streams keep time. They live by the real clock.
type timing struct {
	heartbeat time.Duration // between two writes, at most
	recheck   time.Duration // between two questions whether the session lives
	pause     time.Duration // between two writes, at least
	write     time.Duration // for one write to reach the connection
}

// stream is one client that listens.
type stream struct {
	who     *identity
	use     use
	conn    net.Conn
	timing  timing
	ctx     context.Context
	cancel  context.CancelCauseFunc
	request string
	watch   ticketing.Watch // nil: it follows something else
}

// streams knows all streams of this gateway.
type streams struct {
	max int // of all sessions together

	mu      sync.Mutex
	timing  timing
	stopped bool
	count   int
	of      map[ticketing.ID]map[*stream]struct{} // by session
}

func newStreams(most int) *streams {
	return &streams{
		max:    most,
		timing: timing{heartbeat: 15 * time.Second, recheck: time.Minute, pause: 100 * time.Millisecond, write: 10 * time.Second},
		of:     map[ticketing.ID]map[*stream]struct{}{},
	}
}

// open makes a stream, unless there are too many.
func (g *streams) open(who *identity, u use, conn net.Conn) (*stream, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return nil, ticketing.Errorf(ticketing.Unavailable, "This node is stopping.")
	}
	if g.count >= g.max {
		return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "Too many clients listen at the moment.", RetryAfter: 10 * time.Second}
	}
	if mine := g.of[who.session]; len(mine) >= maxStreams {
		// A reload leaves a stream behind, which would only be noticed at its next heartbeat.
		living := 0
		for s := range mine {
			if gone(s.conn) {
				s.cancel(errStopping)
			} else {
				living++
			}
		}
		if living >= maxStreams {
			return nil, &ticketing.Error{Kind: ticketing.Limited, Msg: "A session may listen at most four times at once.", RetryAfter: 15 * time.Second}
		}
	}
	s := &stream{who: who, use: u, conn: conn, timing: g.timing}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if g.of[who.session] == nil {
		g.of[who.session] = map[*stream]struct{}{}
	}
	g.of[who.session][s] = struct{}{}
	g.count++
	return s, nil
}

// close forgets a stream.
func (g *streams) close(s *stream) {
	s.cancel(errStopping)
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.of[s.who.session][s]; !ok {
		return
	}
	delete(g.of[s.who.session], s)
	if len(g.of[s.who.session]) == 0 {
		delete(g.of, s.who.session)
	}
	g.count--
}

// end ends the streams that match. One that waits for its client is freed within a second.
func (g *streams) end(cause error, match func(*identity) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, mine := range g.of {
		for s := range mine {
			if match(s.who) {
				s.cancel(cause)
				_ = s.deadline(time.Second) // one that is closed already has ended
			}
		}
	}
}

// stop ends all streams and lets no new one begin.
func (g *streams) stop() {
	g.mu.Lock()
	g.stopped = true
	g.mu.Unlock()
	g.end(errStopping, func(*identity) bool { return true })
}

// number is how many streams are open.
func (g *streams) number() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}

// endSession ends the streams of a session, or with a zero session those of all sessions of the user that began until a time.
func (g *streams) endSession(user, session ticketing.ID, at time.Time) {
	g.end(errSessionOver, func(id *identity) bool {
		if session.IsZero() {
			return id.user == user && !id.session.Time().After(at)
		}
		return id.session == session
	})
}

// endUser ends the streams of a user whose roles have changed: the client comes back as who the user is now.
func (g *streams) endUser(user ticketing.ID) {
	g.end(errRolesChanged, func(id *identity) bool { return id.user == user })
}

// NetConn returns the connection within.
func (c *conn) NetConn() net.Conn { return c.Conn }

// gone reports whether a client that only listens has closed its side of the connection.
func gone(c net.Conn) bool {
	encrypted := false
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		_, plain := c.(*conn)
		encrypted = encrypted || !plain
		c = outer.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
		case err != nil || n == 0:
			closed = true
		default:
			closed = encrypted // a TLS client that only listens has nothing to say but that it closes
		}
	})
	return closed || err != nil
}
