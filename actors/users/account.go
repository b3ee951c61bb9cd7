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
		if c.Discreet {
			tx.Put(triedKey(taken), tx.At())
			return ticketing.User{}, nil
		}
		return ticketing.User{}, ticketing.Errorf(ticketing.Conflict, "This e-mail address is already in use.")
	}
	u := ticketing.User{ID: c.ID, Email: c.Email, Name: c.Name, Roles: c.Roles | ticketing.RoleUser, CreatedAt: tx.At(), Verified: c.Verified}
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
	if err == nil && a.User.Removed {
		err = errRemoved
	}
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

var (
	errNoUser  = ticketing.Errorf(ticketing.Unauthorized, "Sign in to do this.")
	errRemoved = ticketing.Errorf(ticketing.Conflict, "The owner of this account has removed it.")
)

// member finds an account that may be signed in to.
func member(v *shard.View, id ticketing.ID) (account, error) {
	a, err := find(v, id)
	if err != nil || a.User.Disabled || a.User.Removed {
		return account{}, errNoUser
	}
	return a, nil
}

// setName changes the display name; every item shows it from then on.
func (s *service) setName(tx *shard.Tx, c *ticketing.SetName) (ticketing.User, error) {
	if err := ticketing.CheckName(c.Name); err != nil {
		return ticketing.User{}, err
	}
	a, err := member(&tx.View, c.User)
	if err != nil || a.User.Name == c.Name {
		return a.User, err
	}
	a.User.Name = c.Name
	tx.Put(accountKey(c.User), a)
	tx.Emit(&ticketing.UserChanged{User: a.User})
	return a.User, nil
}

// setDisabled closes or opens an account. Operators cannot close their own: somebody must be left who can open it.
func (s *service) setDisabled(tx *shard.Tx, c *ticketing.SetDisabled) (ticketing.User, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.User{}, ticketing.Errorf(ticketing.Forbidden, "Only an operator may disable or enable an account.")
	}
	if c.By.ID == c.User && c.Disabled {
		return ticketing.User{}, ticketing.Errorf(ticketing.Conflict, "Operators cannot disable their own account.")
	}
	a, err := find(&tx.View, c.User)
	if err == nil && a.User.Removed {
		err = errRemoved
	}
	if err != nil || a.User.Disabled == c.Disabled {
		return a.User, err
	}
	a.User.Disabled = c.Disabled
	tx.Put(accountKey(c.User), a)
	tx.Emit(&ticketing.UserChanged{User: a.User})
	if c.Disabled {
		s.endAll(tx, c.User, ticketing.ID{})
		forgetProofs(tx, c.User)
	}
	return a.User, nil
}

// removeUser takes away what says who somebody is. The account stays as the author of what was written; its e-mail is free.
func (s *service) removeUser(tx *shard.Tx, c *ticketing.RemoveUser) (ticketing.User, error) {
	a, err := member(&tx.View, c.User)
	if err != nil {
		return ticketing.User{}, err
	}
	if a.Hash == "" || a.Hash != c.PasswordHash {
		return ticketing.User{}, errChanged
	}
	if a.User.Roles.Has(ticketing.RoleOperator) {
		return ticketing.User{}, ticketing.Errorf(ticketing.Conflict, "An operator's account cannot be removed; another operator has to take the role away first.")
	}
	tx.Delete(emailKey(c.User.Slot(), a.User.Email))
	tx.Delete(triedKey(c.User))
	a = account{User: ticketing.User{ID: c.User, Name: ticketing.RemovedName, Roles: ticketing.RoleUser, CreatedAt: a.User.CreatedAt, Removed: true}}
	tx.Put(accountKey(c.User), a)
	tx.Emit(&ticketing.UserChanged{User: a.User})
	s.endAll(tx, c.User, ticketing.ID{})
	forgetProofs(tx, c.User)
	return a.User, nil
}
