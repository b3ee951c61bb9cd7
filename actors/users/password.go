package users

import (
	"crypto/subtle"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// proof is what is kept of a link that went out by mail.
type proof struct {
	Hash    []byte    `cbor:"1,keyasint"` // SHA-256 of its token
	Expires time.Time `cbor:"2,keyasint"`
	Email   string    `cbor:"3,keyasint"` // where it went
}

var (
	errChanged = ticketing.Errorf(ticketing.Unauthorized, "The password has changed in the meantime. Sign in again.")
	errProof   = ticketing.InvalidField("token", "This link is not good any more. Ask for a new one.")
)

// setPassword replaces a password, and with it every session.
func (s *service) setPassword(tx *shard.Tx, c *ticketing.SetPassword) (ticketing.UserSession, error) {
	a, err := member(&tx.View, c.User)
	if err != nil {
		return ticketing.UserSession{}, err
	}
	if a.Hash == "" || a.Hash != c.Old || c.New == "" {
		return ticketing.UserSession{}, errChanged
	}
	a.Hash = c.New
	tx.Put(accountKey(c.User), a)
	s.endAll(tx, c.User, ticketing.ID{})
	tx.Delete(proofKey(c.User, ticketing.ProveReset))
	n := s.open(tx, &c.Session, c.User)
	return ticketing.UserSession{Session: n, User: a.User}, nil
}

// startProof remembers the token of a link that is about to be mailed.
func (s *service) startProof(tx *shard.Tx, c *ticketing.StartProof) (ticketing.User, error) {
	a, err := member(&tx.View, c.User)
	if err != nil {
		return ticketing.User{}, ticketing.Errorf(ticketing.Forbidden, "Nobody may sign in to this account.")
	}
	life := ticketing.ResetLife
	if c.Kind == ticketing.ProveVerify {
		if life = ticketing.VerifyLife; a.User.Verified {
			return ticketing.User{}, ticketing.Errorf(ticketing.Conflict, "The e-mail address is verified already.")
		}
	}
	tx.Put(proofKey(c.User, c.Kind), proof{Hash: c.Token, Expires: tx.At().Add(life), Email: a.User.Email})
	return a.User, nil
}

// use takes a proof away if the token fits, and returns the account.
func use(tx *shard.Tx, user ticketing.ID, k ticketing.ProofKind, token []byte) (account, error) {
	a, err := member(&tx.View, user)
	if err != nil {
		return account{}, errProof
	}
	var p proof
	if !tx.Get(proofKey(user, k), &p) || subtle.ConstantTimeCompare(p.Hash, token) != 1 || !tx.At().Before(p.Expires) || p.Email != a.User.Email {
		return account{}, errProof
	}
	tx.Delete(proofKey(user, k))
	return a, nil
}

// resetPassword sets a password for whoever reads the account's mailbox.
func (s *service) resetPassword(tx *shard.Tx, c *ticketing.ResetPassword) (ticketing.User, error) {
	a, err := use(tx, c.User, ticketing.ProveReset, c.Token)
	if err != nil {
		return ticketing.User{}, err
	}
	if c.PasswordHash == "" {
		return ticketing.User{}, errProof
	}
	a.Hash = c.PasswordHash
	if !a.User.Verified {
		a.User.Verified = true
		tx.Delete(proofKey(c.User, ticketing.ProveVerify))
		tx.Emit(&ticketing.UserChanged{User: a.User})
	}
	tx.Put(accountKey(c.User), a)
	s.endAll(tx, c.User, ticketing.ID{})
	return a.User, nil
}

func (s *service) verifyEmail(tx *shard.Tx, c *ticketing.VerifyEmail) (ticketing.User, error) {
	a, err := use(tx, c.User, ticketing.ProveVerify, c.Token)
	if err != nil {
		return ticketing.User{}, err
	}
	a.User.Verified = true
	tx.Put(accountKey(c.User), a)
	tx.Emit(&ticketing.UserChanged{User: a.User})
	return a.User, nil
}

func forgetProofs(tx *shard.Tx, user ticketing.ID) {
	tx.Delete(proofKey(user, ticketing.ProveReset))
	tx.Delete(proofKey(user, ticketing.ProveVerify))
}
