package gateway

import (
	"slices"
	"time"

	"ticketing"
)

// sessionView is one of the user's sessions in JSON.
type sessionView struct {
	ID        ticketing.ID `json:"id"`
	StartedAt time.Time    `json:"startedAt"`
	SeenAt    time.Time    `json:"seenAt"`            // to a quarter of an hour
	Current   bool         `json:"current"`           // the one that asks
	Agent     string       `json:"agent,omitempty"`   // what the program called itself when the session began
	Address   string       `json:"address,omitempty"` // where it was then
}

// sessionsOf lists the user's live sessions, the most recently used first.
func (g *Gateway) sessionsOf(c *call) ([]sessionView, error) {
	all, err := g.s.Users.Sessions(c.context(), c.who.user)
	if err != nil {
		return nil, ticketing.Wrap("gateway.sessionsOf", err)
	}
	views := make([]sessionView, len(all))
	for i, s := range all {
		views[i] = sessionView{s.ID, s.StartedAt.UTC(), s.SeenAt.UTC(), s.ID == c.who.session, s.Agent, s.Address}
	}
	slices.SortStableFunc(views, func(a, b sessionView) int { return b.SeenAt.Compare(a.SeenAt) })
	return views, nil
}

func (g *Gateway) listSessions(c *call) error {
	views, err := g.sessionsOf(c)
	if err != nil {
		return err
	}
	return c.reply(200, list[sessionView]{Items: views})
}

func (g *Gateway) endSession(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	if err := g.revokeOne(c, id); err != nil {
		return err
	}
	c.SetStatusCode(204)
	return nil
}

// revokeOne ends one of the user's own sessions; anything else is NotFound.
func (g *Gateway) revokeOne(c *call, id ticketing.ID) error {
	if id == c.who.session {
		return g.leave(c)
	}
	if _, err := g.s.Users.Session(c.context(), c.who.user, id); ticketing.KindOf(err) == ticketing.Unauthorized {
		return notFound()
	} else if err != nil {
		return ticketing.Wrap("gateway.revokeOne", err)
	}
	return g.end(c, &identity{user: c.who.user, session: id})
}

func (g *Gateway) endSessions(c *call) error {
	others, err := c.query("others")
	if err != nil {
		return err
	}
	switch others {
	case "true":
		err = g.revokeOthers(c)
	case "", "false":
		err = g.revokeAll(c)
	default:
		err = ticketing.InvalidField("others", "Give others=true, or leave it out.")
	}
	if err == nil {
		c.SetStatusCode(204)
	}
	return err
}

// revokeOthers ends all of the user's sessions but the one that asks.
func (g *Gateway) revokeOthers(c *call) error {
	all, err := g.s.Users.Sessions(c.context(), c.who.user)
	if err == nil {
		err = g.s.Users.EndSession(c.context(), ticketing.EndSession{Meta: c.freshMeta(), User: c.who.user, Except: c.who.session})
	}
	if err != nil {
		return ticketing.Wrap("gateway.revokeOthers", err)
	}
	for _, s := range all { // here at once; one that began in between ends here by its event
		if s.ID != c.who.session {
			g.Revoke(c.who.user, s.ID, c.at)
		}
	}
	return nil
}

// revokeAll ends all of the user's sessions, this one too.
func (g *Gateway) revokeAll(c *call) error {
	if err := g.s.Users.EndSession(c.context(), ticketing.EndSession{Meta: c.freshMeta(), User: c.who.user}); err != nil {
		return ticketing.Wrap("gateway.revokeAll", err)
	}
	g.Revoke(c.who.user, ticketing.ID{}, c.at)
	g.forgetBrowser(c)
	return nil
}

// forgetBrowser takes the cookie and what the browser has kept of pages.
func (g *Gateway) forgetBrowser(c *call) {
	if c.use != forAPI {
		g.clearCookie(c)
		c.Response.Header.Set("Clear-Site-Data", `"cache", "storage"`)
	}
}
