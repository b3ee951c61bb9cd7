package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"sync"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/users"
	"ticketing/config"
	"ticketing/gateway"
	"ticketing/internal/mail"
)

// onceOperator names the mark in control that says that this cluster has, or had, an operator.
const onceOperator = "operator"

// firstOperator makes the operator that the config names, unless this cluster has had one.
func (n *Node) firstOperator(ctx context.Context) error {
	if n.cfg.OperatorEmail == "" {
		return nil
	}
	return n.control.Once(ctx, onceOperator, func(ctx context.Context) error {
		_, err := n.CreateUser(ctx, n.cfg.OperatorEmail, "Operator", n.cfg.OperatorPassword, ticketing.RoleOperator)
		if ticketing.KindOf(err) == ticketing.Conflict {
			return nil // made before a crash
		}
		return err
	})
}

// CreateUser makes an account with a password and roles, without signing it in. Nobody is asked to confirm the e-mail.
// Errors are those of sign-up.
func (n *Node) CreateUser(ctx context.Context, email, name, password string, roles ticketing.Roles) (ticketing.User, error) {
	email, err := ticketing.NormalizeEmail(email)
	if err != nil {
		return ticketing.User{}, err
	}
	if err := gateway.CheckPassword(password, email, n.cfg.PasswordMin); err != nil {
		return ticketing.User{}, err
	}
	id, err := n.users.UserID(ctx, email, n.opts.Now())
	if err != nil {
		return ticketing.User{}, err
	}
	return n.users.SignUp(ctx, ticketing.SignUp{ID: id, Email: email, Name: name, PasswordHash: gateway.HashPassword(password),
		Roles: roles | ticketing.RoleUser, Verified: true})
}

// OperatorExists notes that somebody can manage this cluster, so that no link for making an operator is printed any more.
func (n *Node) OperatorExists(ctx context.Context) error {
	return n.control.Once(ctx, onceOperator, func(context.Context) error { return nil })
}

// SetupLink returns the address where the first operator is made, empty when there is one. It is a secret of whoever reads
// the server's output. listening is the server's own address, such as http://127.0.0.1:8080, for when public.url is not set.
func (n *Node) SetupLink(listening string) string {
	token := n.setup.printable()
	if token == "" {
		return ""
	}
	if n.cfg.PublicURL != "" {
		listening = n.cfg.PublicURL
	}
	return strings.TrimRight(listening, "/") + gateway.SetupPath + "?token=" + token
}

// setup is how the first operator is made. Its token lives in this process only: every start has another one.
type setup struct {
	control control.Client
	users   users.Client

	mu    sync.Mutex // held while an operator is made: the second one of two finds that there is one
	token string     // empty: there is an operator
}

var _ gateway.Setup = (*setup)(nil)

// prepare makes a token if this cluster never had an operator.
func (s *setup) prepare(ctx context.Context) error {
	exists, err := s.control.Done(ctx, onceOperator)
	if err != nil || exists {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = rand.Text() + rand.Text() // 26 characters of 5 bits each, twice
	return nil
}

func (s *setup) printable() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// Open implements gateway.Setup.
func (s *setup) Open(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fits(token)
}

// fits compares in a time that says nothing. held: mu
func (s *setup) fits(token string) bool {
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.token))
	return s.token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Claim implements gateway.Setup.
func (s *setup) Claim(ctx context.Context, token string, c ticketing.SignUp) (u ticketing.User, err error) {
	const op = "node.Claim"
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := ticketing.Errorf(ticketing.Forbidden, "There is an operator already.")
	if !s.fits(token) {
		return u, ticketing.Wrap(op, closed)
	}
	made := false
	err = s.control.Once(ctx, onceOperator, func(ctx context.Context) error {
		u, err = s.users.SignUp(ctx, c)
		made = err == nil
		return err
	})
	switch {
	case err != nil:
		return u, ticketing.Wrap(op, err)
	case !made: // on another node
		err = ticketing.Wrap(op, closed)
	}
	s.token = ""
	return u, err
}

// newMailer returns nil if the config names no mail server.
func newMailer(c config.Config) (gateway.Mailer, error) {
	if c.SMTPURL == "" {
		return nil, nil
	}
	return mail.New(mail.Config{URL: c.SMTPURL, From: c.SMTPFrom})
}
