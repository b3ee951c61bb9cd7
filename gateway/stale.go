package gateway

import (
	"context"
	"time"

	"ticketing"
)

const (
	// staleLife is how long after its end a token still lets somebody read, while nobody can be reached who would renew it. Until then an
	// end of the session that was decided elsewhere may not be known here.
	staleLife = time.Hour
	// staleWait is how long a reader who takes old answers waits for a position, on a node that knows that it is behind.
	staleWait = 100 * time.Millisecond
)

var (
	hdrStale = []byte("Stale")
	valStale = []byte("1")
)

// readable reports whether old answers may be asked for: where something is read that needs somebody's word, and is not too precious for it.
func (r *route) readable() bool { return r.method == "GET" && r.access != open && !r.proven }

// askStale finds out whether the caller takes old answers. Programs say so; pages always do, because they tell it to the reader.
func (c *call) askStale() error {
	if !c.route.readable() {
		return nil
	}
	if c.route.page {
		c.stale = true
		return nil
	}
	h := c.Request.Header.PeekAll("Allow-Stale")
	switch {
	case len(h) == 0:
	case len(h) == 1 && string(h[0]) == string(valStale):
		c.stale = true
	default:
		return ticketing.Errorf(ticketing.BadRequest, "Allow-Stale is 1, or is left out.")
	}
	return nil
}

// allowStale lets what is asked under the context be answered by this node's own copy, if the caller takes that.
func (c *call) allowStale(ctx context.Context) context.Context {
	if c.stale {
		ctx, c.staleUsed = ticketing.AllowStale(ctx)
	}
	return ctx
}

// isStale reports whether what was read so far may be old: because nobody who certainly has the newest state could be reached, or because it
// is from this node's own copy, which is behind.
func (c *call) isStale() bool {
	return c.staleUsed != nil && c.staleUsed() || (c.route.copy || c.route.page) && c.g.behind()
}

// markStale says in the reply that it may be old.
func (c *call) markStale() {
	if c.isStale() {
		c.Response.Header.SetCanonical(hdrStale, valStale)
	}
}

// behind reports whether this node's own copies may be old.
func (g *Gateway) behind() bool { return g.health != nil && g.health.Behind() }

// standIn identifies who asks by the record of the session, when its token is too old and cannot be renewed at the moment. It is for reading
// only; and never for long if the record is an old one.
func (g *Gateway) standIn(c *call, u use, id *identity) (*identity, error) {
	us, err := g.s.Users.Session(c.context(), id.user, id.session)
	if err != nil {
		return nil, ticketing.Wrap("gateway.standIn", err)
	}
	old := c.staleUsed()
	switch {
	case !us.Session.Alive(c.at),
		old && c.at.Sub(id.expires) > staleLife,
		!old && u != forBrowser: // whoever answered that would also have answered its program's request for a new token
		return nil, unauthorized()
	}
	return identityOf(us, g.now()), nil
}

// outlived decides about a token that is good but for its age. A cookie is renewed from the session's record; a bearer token is its
// program's to renew.
func (g *Gateway) outlived(c *call, u use, id *identity) (*identity, error) {
	if u != forBrowser {
		return g.standIn(c, u, id)
	}
	fresh, err := g.renew(c, id)
	if c.stale && ticketing.KindOf(err) == ticketing.Unavailable {
		if old, err := g.standIn(c, u, id); err == nil {
			return old, nil
		}
	}
	return fresh, err
}
