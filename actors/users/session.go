package users

import (
	"crypto/sha256"
	"crypto/subtle"

	"ticketing"
	"ticketing/runtime/shard"
)

// session is what is stored of a session. The hash of its refresh token never leaves the service.
type session struct {
	ticketing.Session
	Refresh []byte `cbor:"100,keyasint,omitempty"` // SHA-256 of the refresh token that is good
}

type bySession struct {
	User    ticketing.ID `cbor:"1,keyasint"`
	Session ticketing.ID `cbor:"2,keyasint"`
}

var errNoSession = ticketing.Errorf(ticketing.Unauthorized, "Sign in to do this.")

// startSession opens a session, and clears away those that are over.
func (s *service) startSession(tx *shard.Tx, c *ticketing.StartSession) (ticketing.UserSession, error) {
	a, err := member(&tx.View, c.User)
	if err != nil {
		return ticketing.UserSession{}, err
	}
	if c.PasswordHash != "" && c.PasswordHash != a.Hash {
		return ticketing.UserSession{}, errChanged
	}
	live := s.sessions(tx, c.User)
	if len(live) >= ticketing.MaxSessions {
		oldest := live[0].Session
		for _, o := range live {
			if o.SeenAt.Before(oldest.SeenAt) {
				oldest = o.Session
			}
		}
		s.end(tx, oldest)
	}
	return ticketing.UserSession{Session: s.open(tx, c, c.User), User: a.User}, nil
}

// open writes a new session.
func (s *service) open(tx *shard.Tx, c *ticketing.StartSession, user ticketing.ID) ticketing.Session {
	n := session{Session: ticketing.Session{ID: c.ID, User: user, StartedAt: tx.At(), SeenAt: tx.At(), ProvenAt: tx.At(),
		Agent: c.Agent, Address: c.Address}}
	if len(c.Refresh) == sha256.Size {
		n.Refresh, n.Refreshes = c.Refresh, 1
	}
	tx.Put(sessionKey(user, c.ID), n)
	return n.Session
}

// end deletes a session, and tells every gateway.
func (s *service) end(tx *shard.Tx, o ticketing.Session) {
	tx.Delete(sessionKey(o.User, o.ID))
	tx.Emit(&ticketing.SessionEnded{User: o.User, Session: o.ID, At: tx.At()})
}

// endAll ends a user's sessions but one. Each is named: an event for all of them that began until now would miss one that
// began by a faster clock, and hit one that begins with this very command.
func (s *service) endAll(tx *shard.Tx, user, except ticketing.ID) {
	for _, o := range s.sessions(tx, user) {
		if o.ID != except {
			s.end(tx, o.Session)
		}
	}
}

// sessions returns a user's live sessions, and deletes the others.
func (s *service) sessions(tx *shard.Tx, user ticketing.ID) (live []session) {
	var dead []ticketing.ID
	tx.Scan(shard.KeyOf(tableSession, user), func(_ shard.Key, decode func(any)) bool {
		var o session
		decode(&o)
		if o.Alive(tx.At()) {
			live = append(live, o)
		} else {
			dead = append(dead, o.ID)
		}
		return true
	})
	for _, id := range dead {
		tx.Delete(sessionKey(user, id))
	}
	return live
}

// living finds a session that may be used, and its account.
func living(tx *shard.Tx, user, id ticketing.ID) (session, account, error) {
	var o session
	if !tx.Get(sessionKey(user, id), &o) || !o.Alive(tx.At()) {
		return session{}, account{}, errNoSession
	}
	a, err := member(&tx.View, user)
	return o, a, err
}

// seen moves the time at which the session was last used.
func (o *session) seen(tx *shard.Tx) {
	if tx.At().After(o.SeenAt) {
		o.SeenAt = tx.At()
	}
	tx.Put(sessionKey(o.User, o.ID), *o)
}

// renewSession notes that the session is in use.
func (s *service) renewSession(tx *shard.Tx, c *ticketing.RenewSession) (ticketing.UserSession, error) {
	o, a, err := living(tx, c.User, c.Session)
	if err != nil {
		return ticketing.UserSession{}, err
	}
	o.seen(tx)
	return ticketing.UserSession{Session: o.Session, User: a.User}, nil
}

// refreshSession trades a refresh token for the next. The wrong one ends the session: the command succeeds then, or the
// session would go on.
func (s *service) refreshSession(tx *shard.Tx, c *ticketing.RefreshSession) (ticketing.Refreshed, error) {
	o, a, err := living(tx, c.User, c.Session)
	if err != nil || len(o.Refresh) == 0 || len(c.New) != sha256.Size {
		return ticketing.Refreshed{}, errNoSession
	}
	r := ticketing.Refreshed{UserSession: ticketing.UserSession{Session: o.Session, User: a.User}}
	if subtle.ConstantTimeCompare(o.Refresh, c.Old) != 1 {
		s.end(tx, o.Session)
		r.Reused = true
		return r, nil
	}
	o.Refresh = c.New
	o.Refreshes++
	o.seen(tx)
	r.Session = o.Session
	return r, nil
}

// endSession ends one session or all of a user.
func (s *service) endSession(tx *shard.Tx, c *ticketing.EndSession) (struct{}, error) {
	if c.Session.IsZero() {
		s.endAll(tx, c.User, c.Except)
		return struct{}{}, nil
	}
	var o session
	if tx.Get(sessionKey(c.User, c.Session), &o) {
		s.end(tx, o.Session)
	}
	return struct{}{}, nil
}

func (s *service) session(v *shard.View, q *bySession) (ticketing.UserSession, error) {
	var o session
	if !v.Get(sessionKey(q.User, q.Session), &o) {
		return ticketing.UserSession{}, errNoSession
	}
	a, err := member(v, q.User)
	return ticketing.UserSession{Session: o.Session, User: a.User}, err
}

// listSessions lists what is stored; the keys sort by the sessions' beginning.
func (s *service) listSessions(v *shard.View, q *byID) ([]ticketing.Session, error) {
	all := []ticketing.Session{}
	v.Scan(shard.KeyOf(tableSession, q.ID), func(_ shard.Key, decode func(any)) bool {
		var o session
		decode(&o)
		all = append(all, o.Session)
		return true
	})
	return all, nil
}
