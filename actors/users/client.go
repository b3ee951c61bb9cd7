package users

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"ticketing"
	"ticketing/runtime/system"
)

// Client asks the service, wherever its shards lead.
type Client struct {
	sys *system.System
	key []byte
}

var _ ticketing.UserService = Client{}

// NewClient makes a client. key is the cluster's secret that e-mails are hashed with: whoever knows it can tell which e-mails share a
// slot, nothing more. It can never change, or accounts are not found.
func NewClient(sys *system.System, key []byte) Client { return Client{sys, key} }

func (c Client) slot(email string) ticketing.Slot {
	h := hmac.New(sha256.New, c.key)
	h.Write([]byte(email))
	return ticketing.Slot(binary.BigEndian.Uint16(h.Sum(nil)) % ticketing.Slots)
}

// UserID implements ticketing.UserService.
func (c Client) UserID(_ context.Context, email string, at time.Time) (ticketing.ID, error) {
	return ticketing.NewID(c.slot(email), at, rand.Uint64()), nil
}

// SignUp implements ticketing.UserService.
func (c Client) SignUp(ctx context.Context, cmd ticketing.SignUp) (ticketing.User, error) {
	u, _, err := system.Command[ticketing.User](ctx, c.sys, Name, cmd.ID.Slot(), opSignUp, &cmd)
	return u, err
}

// Credentials implements ticketing.UserService.
func (c Client) Credentials(ctx context.Context, email string) (ticketing.Credentials, error) {
	slot := c.slot(email)
	return system.Query[ticketing.Credentials](ctx, c.sys, Name, slot, opCredentials, &byEmail{slot, email})
}

// User implements ticketing.UserService.
func (c Client) User(ctx context.Context, id ticketing.ID) (ticketing.User, error) {
	return system.Query[ticketing.User](ctx, c.sys, Name, id.Slot(), opUser, &byID{id})
}

// SetRoles implements ticketing.UserService.
func (c Client) SetRoles(ctx context.Context, cmd ticketing.SetRoles) (ticketing.User, error) {
	u, _, err := system.Command[ticketing.User](ctx, c.sys, Name, cmd.User.Slot(), opSetRoles, &cmd)
	return u, err
}

// StartSession implements ticketing.UserService.
func (c Client) StartSession(ctx context.Context, cmd ticketing.StartSession) (ticketing.UserSession, error) {
	s, _, err := system.Command[ticketing.UserSession](ctx, c.sys, Name, cmd.User.Slot(), opStartSession, &cmd)
	return s, err
}

// RenewSession implements ticketing.UserService.
func (c Client) RenewSession(ctx context.Context, cmd ticketing.RenewSession) (ticketing.UserSession, error) {
	s, _, err := system.Command[ticketing.UserSession](ctx, c.sys, Name, cmd.User.Slot(), opRenewSession, &cmd)
	return s, err
}

// EndSession implements ticketing.UserService.
func (c Client) EndSession(ctx context.Context, cmd ticketing.EndSession) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, cmd.User.Slot(), opEndSession, &cmd)
	return err
}

// Session implements ticketing.UserService.
func (c Client) Session(ctx context.Context, user, session ticketing.ID) (ticketing.UserSession, error) {
	s, err := system.Query[ticketing.UserSession](ctx, c.sys, Name, user.Slot(), opSession, &bySession{user, session})
	if err == nil && !s.Session.Alive(time.Now()) {
		return ticketing.UserSession{}, errNoSession
	}
	return s, err
}

// Sessions implements ticketing.UserService.
func (c Client) Sessions(ctx context.Context, user ticketing.ID) ([]ticketing.Session, error) {
	all, err := system.Query[[]ticketing.Session](ctx, c.sys, Name, user.Slot(), opSessions, &byID{user})
	now := time.Now()
	return slices.DeleteFunc(all, func(s ticketing.Session) bool { return !s.Alive(now) }), err
}

// RefreshSession implements ticketing.UserService.
func (c Client) RefreshSession(ctx context.Context, cmd ticketing.RefreshSession) (ticketing.Refreshed, error) {
	r, _, err := system.Command[ticketing.Refreshed](ctx, c.sys, Name, cmd.User.Slot(), opRefreshSession, &cmd)
	return r, err
}

// SetPassword implements ticketing.UserService.
func (c Client) SetPassword(ctx context.Context, cmd ticketing.SetPassword) (ticketing.UserSession, error) {
	r, _, err := system.Command[ticketing.UserSession](ctx, c.sys, Name, cmd.User.Slot(), opSetPassword, &cmd)
	return r, err
}

// SetName implements ticketing.UserService.
func (c Client) SetName(ctx context.Context, cmd ticketing.SetName) (ticketing.User, error) {
	r, _, err := system.Command[ticketing.User](ctx, c.sys, Name, cmd.User.Slot(), opSetName, &cmd)
	return r, err
}

// SetDisabled implements ticketing.UserService.
func (c Client) SetDisabled(ctx context.Context, cmd ticketing.SetDisabled) (ticketing.User, error) {
	r, _, err := system.Command[ticketing.User](ctx, c.sys, Name, cmd.User.Slot(), opSetDisabled, &cmd)
	return r, err
}

// RemoveUser implements ticketing.UserService.
func (c Client) RemoveUser(ctx context.Context, cmd ticketing.RemoveUser) (ticketing.User, error) {
	r, _, err := system.Command[ticketing.User](ctx, c.sys, Name, cmd.User.Slot(), opRemoveUser, &cmd)
	return r, err
}

// StartProof implements ticketing.UserService.
func (c Client) StartProof(ctx context.Context, cmd ticketing.StartProof) (ticketing.User, error) {
	r, _, err := system.Command[ticketing.User](ctx, c.sys, Name, cmd.User.Slot(), opStartProof, &cmd)
	return r, err
}

// ResetPassword implements ticketing.UserService.
func (c Client) ResetPassword(ctx context.Context, cmd ticketing.ResetPassword) (ticketing.User, error) {
	r, _, err := system.Command[ticketing.User](ctx, c.sys, Name, cmd.User.Slot(), opResetPassword, &cmd)
	return r, err
}

// VerifyEmail implements ticketing.UserService.
func (c Client) VerifyEmail(ctx context.Context, cmd ticketing.VerifyEmail) (ticketing.User, error) {
	r, _, err := system.Command[ticketing.User](ctx, c.sys, Name, cmd.User.Slot(), opVerifyEmail, &cmd)
	return r, err
}
