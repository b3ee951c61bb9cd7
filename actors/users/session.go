package users

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// maxSessions bounds a user's sessions: the next sign-in ends the one that was used least recently.
const maxSessions = 50

type bySession struct {
	User    ticketing.ID `cbor:"1,keyasint"`
	Session ticketing.ID `cbor:"2,keyasint"`
}

var errNoSession = ticketing.Errorf(ticketing.Unauthorized, "Sign in to do this.")

// startSession opens a session, and clears away those that are over.
func (s *service) startSession(tx *shard.Tx, c *ticketing.StartSession) (ticketing.UserSession, error) {
	a, err := find(&tx.View, c.User)
	if err != nil {
		return ticketing.UserSession{}, err
	}
	live := s.sessions(tx, c.User)
	if len(live) >= maxSessions {
		oldest := live[0]
		for _, o := range live {
			if o.SeenAt.Before(oldest.SeenAt) {
				oldest = o
			}
		}
		tx.Delete(sessionKey(c.User, oldest.ID))
		tx.Emit(&ticketing.SessionEnded{User: c.User, Session: oldest.ID, At: tx.At()})
	}
	n := ticketing.Session{ID: c.ID, User: c.User, StartedAt: tx.At(), SeenAt: tx.At()}
	tx.Put(sessionKey(c.User, c.ID), n)
	return ticketing.UserSession{Session: n, User: a.User}, nil
}

// sessions returns a user's live sessions, and deletes the others.
func (s *service) sessions(tx *shard.Tx, user ticketing.ID) (live []ticketing.Session) {
	var dead []ticketing.ID
	tx.Scan(shard.KeyOf(tableSession, user), func(_ shard.Key, decode func(any)) bool {
		var o ticketing.Session
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

// renewSession moves the time at which the session was last used.
func (s *service) renewSession(tx *shard.Tx, c *ticketing.RenewSession) (ticketing.UserSession, error) {
	var o ticketing.Session
	if !tx.Get(sessionKey(c.User, c.Session), &o) || !o.Alive(tx.At()) {
		return ticketing.UserSession{}, errNoSession
	}
	a, err := find(&tx.View, c.User)
	if err != nil {
		return ticketing.UserSession{}, errNoSession
	}
	if tx.At().After(o.SeenAt) {
		o.SeenAt = tx.At()
	}
	tx.Put(sessionKey(c.User, c.Session), o)
	return ticketing.UserSession{Session: o, User: a.User}, nil
}

// endSession ends one session or all of a user. The event tells every gateway.
func (s *service) endSession(tx *shard.Tx, c *ticketing.EndSession) (struct{}, error) {
	if !c.Session.IsZero() {
		if tx.Has(sessionKey(c.User, c.Session)) {
			tx.Delete(sessionKey(c.User, c.Session))
			tx.Emit(&ticketing.SessionEnded{User: c.User, Session: c.Session, At: tx.At()})
		}
		return struct{}{}, nil
	}
	for _, o := range s.sessions(tx, c.User) {
		tx.Delete(sessionKey(c.User, o.ID))
	}
	tx.Emit(&ticketing.SessionEnded{User: c.User, At: tx.At()})
	return struct{}{}, nil
}

func (s *service) session(v *shard.View, q *bySession) (ticketing.UserSession, error) {
	var o ticketing.Session
	if !v.Get(sessionKey(q.User, q.Session), &o) {
		return ticketing.UserSession{}, errNoSession
	}
	a, err := find(v, q.User)
	if err != nil {
		return ticketing.UserSession{}, errNoSession
	}
	return ticketing.UserSession{Session: o, User: a.User}, nil
}
