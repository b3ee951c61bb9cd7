package users

import (
	"ticketing"
	"ticketing/runtime/shard"
)

type service struct{}

type byEmail struct {
	Slot  ticketing.Slot `cbor:"1,keyasint"`
	Email string         `cbor:"2,keyasint"`
}

type byID struct {
	ID ticketing.ID `cbor:"1,keyasint"`
}

// signUp checks that the e-mail is free, and writes the account.
func (s *service) signUp(tx *shard.Tx, c *ticketing.SignUp) (ticketing.User, error) {
	const op = "users.signUp"
	if email, err := ticketing.NormalizeEmail(c.Email); err != nil || email != c.Email {
		return ticketing.User{}, ticketing.InvalidField("email", "The e-mail address is not in its normal form.")
	}
	if err := ticketing.CheckName(c.Name); err != nil {
		return ticketing.User{}, ticketing.Wrap(op, err)
	}
	var taken ticketing.ID
	if tx.Get(emailKey(c.ID.Slot(), c.Email), &taken) {
		if c.Existing {
			a, err := find(&tx.View, taken)
			return a.User, err
		}
		return ticketing.User{}, ticketing.Errorf(ticketing.Conflict, "This e-mail address is already in use.")
	}
	u := ticketing.User{ID: c.ID, Email: c.Email, Name: c.Name, Roles: c.Roles | ticketing.RoleUser, CreatedAt: tx.At()}
	tx.Put(emailKey(c.ID.Slot(), c.Email), c.ID)
	tx.Put(accountKey(u.ID), account{u, c.PasswordHash})
	tx.Emit(&ticketing.UserSignedUp{User: u})
	return u, nil
}

func find(v *shard.View, id ticketing.ID) (account, error) {
	var a account
	if !v.Get(accountKey(id), &a) {
		return account{}, ticketing.Errorf(ticketing.NotFound, "There is no such user.")
	}
	return a, nil
}

func (s *service) credentials(v *shard.View, q *byEmail) (ticketing.Credentials, error) {
	var id ticketing.ID
	if !v.Get(emailKey(q.Slot, q.Email), &id) {
		return ticketing.Credentials{}, ticketing.Errorf(ticketing.NotFound, "There is no such user.")
	}
	a, err := find(v, id)
	return ticketing.Credentials{User: a.User, PasswordHash: a.Hash}, err
}

func (s *service) user(v *shard.View, q *byID) (ticketing.User, error) {
	a, err := find(v, q.ID)
	return a.User, err
}

// setRoles replaces a user's roles. An operator cannot take the role from themselves: somebody must be left who can give it.
func (s *service) setRoles(tx *shard.Tx, c *ticketing.SetRoles) (ticketing.User, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.User{}, ticketing.Errorf(ticketing.Forbidden, "Only an operator may change roles.")
	}
	if c.By.ID == c.User && !c.Roles.Has(ticketing.RoleOperator) {
		return ticketing.User{}, ticketing.Errorf(ticketing.Conflict, "Operators cannot take the role from themselves.")
	}
	a, err := find(&tx.View, c.User)
	if err != nil {
		return ticketing.User{}, err
	}
	if a.User.Roles == c.Roles|ticketing.RoleUser {
		return a.User, nil
	}
	a.User.Roles = c.Roles | ticketing.RoleUser
	tx.Put(accountKey(c.User), a)
	tx.Emit(&ticketing.UserChanged{User: a.User})
	return a.User, nil
}
