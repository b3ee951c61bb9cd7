// Package users is the service that owns accounts and sessions. An account lives in the slot that a keyed hash of its normalized e-mail
// names, so that one shard decides that an e-mail is used once.
package users

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// Name is the service's name.
const Name = "users"

// Codes of the operations, on the wire: never reuse one.
const (
	opSignUp = iota + 1
	opCredentials
	opUser
	opSetRoles
	opStartSession
	opRenewSession
	opEndSession
	opSession
	opSessions
	opRefreshSession
	opSetPassword
	opSetName
	opSetDisabled
	opRemoveUser
	opStartProof
	opResetPassword
	opVerifyEmail
)

// New returns what the service answers to.
func New() shard.Spec {
	s := &service{}
	return shard.Spec{
		Service: Name,
		Handlers: []shard.Handler{
			shard.Command(opSignUp, s.signUp),
			shard.Query(opCredentials, s.credentials),
			shard.Query(opUser, s.user),
			shard.Command(opSetRoles, s.setRoles),
			shard.Command(opStartSession, s.startSession),
			shard.Command(opRenewSession, s.renewSession),
			shard.Command(opEndSession, s.endSession),
			shard.Query(opSession, s.session),
			shard.Query(opSessions, s.listSessions),
			shard.Command(opRefreshSession, s.refreshSession),
			shard.Command(opSetPassword, s.setPassword),
			shard.Command(opSetName, s.setName),
			shard.Command(opSetDisabled, s.setDisabled),
			shard.Command(opRemoveUser, s.removeUser),
			shard.Command(opStartProof, s.startProof),
			shard.Command(opResetPassword, s.resetPassword),
			shard.Command(opVerifyEmail, s.verifyEmail),
			shard.Command(opReadNotices, s.readNotices),
		},
		Export: export,
	}
}

// Tables of the state.
const (
	tableAccount = 'a' // user id → account
	tableEmail   = 'e' // slot, e-mail → user id
	tableSession = 's' // user id, session id → session
	tableProof   = 'p' // user id, kind(1) → proof
	tableTried   = 't' // user id → when somebody last tried to sign up with the e-mail of that account
)

// account is what is stored of a user. The hash leaves the service only in Credentials.
type account struct {
	User ticketing.User `cbor:"1,keyasint"`
	Hash string         `cbor:"2,keyasint,omitempty"`
}

func accountKey(id ticketing.ID) shard.Key { return shard.KeyOf(tableAccount, id) }

func emailKey(slot ticketing.Slot, email string) shard.Key {
	return shard.KeyAt(tableEmail, slot, []byte(email))
}

func proofKey(user ticketing.ID, k ticketing.ProofKind) shard.Key {
	return shard.KeyOf(tableProof, user, []byte{byte(k)})
}

func triedKey(user ticketing.ID) shard.Key { return shard.KeyOf(tableTried, user) }

func sessionKey(user, session ticketing.ID) shard.Key {
	return shard.KeyOf(tableSession, user, session[:])
}

// export emits every account and what its user has read, for projections that begin from nothing.
func export(v *shard.View, emit func(ticketing.EventData) error) (err error) {
	v.Scan(nil, func(k shard.Key, decode func(any)) bool {
		if k.Table() == tableNotices {
			err = exportNotices(k, decode, emit)
			return err == nil
		}
		if k.Table() != tableAccount {
			return true
		}
		var a account
		decode(&a)
		err = emit(&ticketing.UserSignedUp{User: a.User})
		return err == nil
	})
	return err
}
