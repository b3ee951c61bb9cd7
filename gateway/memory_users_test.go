package gateway

import (
	"bytes"
	"context"
	"slices"
	"time"

	"ticketing"
)

type proofOf struct {
	user ticketing.ID
	kind ticketing.ProofKind
}

type proofHash struct {
	hash    []byte
	expires time.Time
}

// member finds an account that may be signed in to. held: mu
func (m *memory) member(id ticketing.ID) (ticketing.User, error) {
	u, ok := m.users[id]
	if m.down {
		return u, ticketing.Errorf(ticketing.Unavailable, "down")
	}
	if !ok || u.Disabled || u.Removed {
		return u, unauthorized()
	}
	return u, nil
}

// living finds a session that may be used. held: mu
func (m *memory) living(id ticketing.ID, at time.Time) (ticketing.UserSession, error) {
	s, ok := m.sessions[id]
	if m.down {
		return ticketing.UserSession{}, ticketing.Errorf(ticketing.Unavailable, "down")
	}
	if !ok || !at.IsZero() && !s.Alive(at) {
		return ticketing.UserSession{}, unauthorized()
	}
	u, err := m.member(s.User)
	return ticketing.UserSession{Session: s, User: u}, err
}

func (m *memory) endAll(user, except ticketing.ID) {
	for id, s := range m.sessions {
		if s.User == user && id != except {
			delete(m.sessions, id)
		}
	}
}

func (m *memory) SetRoles(_ context.Context, c ticketing.SetRoles) (ticketing.User, error) {
	return once(m, c.Meta, func() (ticketing.User, error) {
		u, ok := m.users[c.User]
		if !ok {
			return u, notFound()
		}
		u.Roles = c.Roles
		m.users[u.ID] = u
		return u, nil
	})
}

func (m *memory) SetName(_ context.Context, c ticketing.SetName) (ticketing.User, error) {
	return once(m, c.Meta, func() (ticketing.User, error) {
		u, err := m.member(c.User)
		if err == nil {
			u.Name = c.Name
			m.users[u.ID] = u
		}
		return u, err
	})
}

func (m *memory) SetDisabled(_ context.Context, c ticketing.SetDisabled) (ticketing.User, error) {
	return once(m, c.Meta, func() (ticketing.User, error) {
		u, ok := m.users[c.User]
		if !ok {
			return u, notFound()
		}
		if u.Disabled = c.Disabled; u.Disabled {
			m.endAll(u.ID, ticketing.ID{})
		}
		m.users[u.ID] = u
		return u, nil
	})
}

func (m *memory) RemoveUser(_ context.Context, c ticketing.RemoveUser) (ticketing.User, error) {
	return once(m, c.Meta, func() (ticketing.User, error) {
		u, err := m.member(c.User)
		if err != nil || m.hashes[u.ID] != c.PasswordHash {
			return u, unauthorized()
		}
		delete(m.emails, u.Email)
		delete(m.hashes, u.ID)
		m.endAll(u.ID, ticketing.ID{})
		u = ticketing.User{ID: u.ID, Name: ticketing.RemovedName, Roles: ticketing.RoleUser, CreatedAt: u.CreatedAt, Removed: true}
		m.users[u.ID] = u
		return u, nil
	})
}

func (m *memory) StartSession(_ context.Context, c ticketing.StartSession) (ticketing.UserSession, error) {
	return once(m, c.Meta, func() (ticketing.UserSession, error) {
		u, err := m.member(c.User)
		if err != nil || c.PasswordHash != "" && c.PasswordHash != m.hashes[u.ID] {
			return ticketing.UserSession{}, unauthorized()
		}
		return m.open(c, u, c.At), nil
	})
}

func (m *memory) open(c ticketing.StartSession, u ticketing.User, at time.Time) ticketing.UserSession {
	s := ticketing.Session{ID: c.ID, User: u.ID, StartedAt: at, SeenAt: at, ProvenAt: at, Agent: c.Agent, Address: c.Address}
	if len(c.Refresh) > 0 {
		m.refresh[s.ID], s.Refreshes = c.Refresh, 1
	}
	m.sessions[s.ID] = s
	return ticketing.UserSession{Session: s, User: u}
}

func (m *memory) RenewSession(_ context.Context, c ticketing.RenewSession) (ticketing.UserSession, error) {
	return once(m, c.Meta, func() (ticketing.UserSession, error) {
		m.asked++
		us, err := m.living(c.Session, c.At)
		if err == nil {
			us.Session.SeenAt = c.At
			m.sessions[c.Session] = us.Session
		}
		return us, err
	})
}

func (m *memory) RefreshSession(_ context.Context, c ticketing.RefreshSession) (ticketing.Refreshed, error) {
	return once(m, c.Meta, func() (ticketing.Refreshed, error) {
		us, err := m.living(c.Session, c.At)
		if err == nil && us.Session.Refreshes == 0 {
			err = unauthorized()
		}
		if err != nil {
			return ticketing.Refreshed{}, err
		}
		if !bytes.Equal(m.refresh[c.Session], c.Old) {
			delete(m.sessions, c.Session)
			return ticketing.Refreshed{UserSession: us, Reused: true}, nil
		}
		us.Session.Refreshes++
		us.Session.SeenAt = c.At
		m.sessions[c.Session], m.refresh[c.Session] = us.Session, c.New
		return ticketing.Refreshed{UserSession: us}, nil
	})
}

func (m *memory) EndSession(_ context.Context, c ticketing.EndSession) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.sessions[c.Session]; ok && s.User == c.User {
		delete(m.sessions, c.Session)
	} else if c.Session.IsZero() {
		m.endAll(c.User, c.Except)
	}
	return nil
}

func (m *memory) Session(ctx context.Context, user, session ticketing.ID) (ticketing.UserSession, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if err := m.reach(ctx); err != nil {
		return ticketing.UserSession{}, err
	}
	us, err := m.living(session, time.Time{})
	if err == nil && us.User.ID != user {
		err = unauthorized()
	}
	return us, err
}

func (m *memory) Sessions(ctx context.Context, user ticketing.ID) ([]ticketing.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reach(ctx); err != nil {
		return nil, err
	}
	var all []ticketing.Session
	for _, s := range m.sessions {
		if s.User == user {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b ticketing.Session) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all, nil
}

func (m *memory) SetPassword(_ context.Context, c ticketing.SetPassword) (ticketing.UserSession, error) {
	return once(m, c.Meta, func() (ticketing.UserSession, error) {
		u, err := m.member(c.User)
		if err != nil || m.hashes[u.ID] != c.Old {
			return ticketing.UserSession{}, unauthorized()
		}
		m.hashes[u.ID] = c.New
		m.endAll(u.ID, ticketing.ID{})
		return m.open(c.Session, u, c.At), nil
	})
}

func (m *memory) StartProof(_ context.Context, c ticketing.StartProof) (ticketing.User, error) {
	return once(m, c.Meta, func() (ticketing.User, error) {
		u, err := m.member(c.User)
		if err != nil {
			return u, ticketing.Errorf(ticketing.Forbidden, "closed")
		}
		life := ticketing.ResetLife
		if c.Kind == ticketing.ProveVerify {
			if life = ticketing.VerifyLife; u.Verified {
				return u, ticketing.Errorf(ticketing.Conflict, "verified")
			}
		}
		m.proved++
		m.proofs[proofOf{u.ID, c.Kind}] = proofHash{c.Token, c.At.Add(life)}
		return u, nil
	})
}

// use takes a proof away. held: mu
func (m *memory) use(user ticketing.ID, k ticketing.ProofKind, token []byte, at time.Time) (ticketing.User, error) {
	p, ok := m.proofs[proofOf{user, k}]
	u, err := m.member(user)
	if err != nil || !ok || !bytes.Equal(p.hash, token) || !at.Before(p.expires) {
		return u, ticketing.InvalidField("token", "no good")
	}
	delete(m.proofs, proofOf{user, k})
	u.Verified = true
	m.users[u.ID] = u
	return u, nil
}

func (m *memory) ResetPassword(_ context.Context, c ticketing.ResetPassword) (ticketing.User, error) {
	return once(m, c.Meta, func() (ticketing.User, error) {
		u, err := m.use(c.User, ticketing.ProveReset, c.Token, c.At)
		if err == nil {
			m.hashes[u.ID] = c.PasswordHash
			m.endAll(u.ID, ticketing.ID{})
		}
		return u, err
	})
}

func (m *memory) VerifyEmail(_ context.Context, c ticketing.VerifyEmail) (ticketing.User, error) {
	return once(m, c.Meta, func() (ticketing.User, error) {
		return m.use(c.User, ticketing.ProveVerify, c.Token, c.At)
	})
}

// sessionOf returns the first session of a user.
func (m *memory) sessionOf(user ticketing.ID) ticketing.ID {
	all, _ := m.Sessions(context.Background(), user)
	return all[0].ID
}
