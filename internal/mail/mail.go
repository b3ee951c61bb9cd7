// Package mail sends mail by SMTP. It speaks TLS to everything that is not this machine: the mails hold links that open
// accounts.
package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	smtp "github.com/wneessen/go-mail"

	"ticketing"
)

// timeout bounds one step of the conversation with the server.
const timeout = 15 * time.Second

// Config says how mail goes out.
type Config struct {
	// URL is smtp://user:password@host:587 for STARTTLS, or smtps://user:password@host:465 for TLS from the first byte. User and
	// password, and the port, may be left out. A server on this machine may do without STARTTLS.
	URL string
	// From is the sender, such as "Ticketing <noreply@example.org>".
	From string
	// TLS, if set, replaces the system's certificates.
	TLS *tls.Config
}

// Mailer sends mail. It is safe for use by several goroutines.
type Mailer struct {
	host     string
	from     *mail.Address
	domain   string // of from
	implicit bool
	options  []smtp.Option
}

// New checks a config. It connects to nothing.
func New(c Config) (*Mailer, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("mail: the URL is not like smtp://user:password@host:587 or smtps://user:password@host:465") // it may hold a password: not shown
	}
	m := &Mailer{host: u.Hostname(), implicit: u.Scheme == "smtps"}
	if m.from, err = mail.ParseAddress(c.From); err != nil {
		return nil, fmt.Errorf("mail: %q is not a sender, such as \"Ticketing <noreply@example.org>\"", c.From)
	}
	m.domain = m.from.Address[strings.LastIndexByte(m.from.Address, '@')+1:]
	port := 587
	if m.implicit {
		port = 465
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return nil, fmt.Errorf("mail: %q is not a port", p)
		}
	}
	m.options = append(m.options, smtp.WithPort(port), smtp.WithTimeout(timeout), smtp.WithoutNoop())
	tc := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		tc = c.TLS.Clone()
	}
	tc.ServerName = m.host
	m.options = append(m.options, smtp.WithTLSConfig(tc))
	switch ip := net.ParseIP(m.host); {
	case m.implicit:
		m.options = append(m.options, smtp.WithSSL())
	case m.host == "localhost" || ip != nil && ip.IsLoopback():
		m.options = append(m.options, smtp.WithTLSPolicy(smtp.TLSOpportunistic))
	default:
		m.options = append(m.options, smtp.WithTLSPolicy(smtp.TLSMandatory))
	}
	if u.User != nil {
		password, _ := u.User.Password()
		m.options = append(m.options, smtp.WithSMTPAuth(smtp.SMTPAuthAutoDiscover), smtp.WithUsername(u.User.Username()), smtp.WithPassword(password))
	}
	return m, nil
}

// Send hands a plain text over to the server. An error of kind Unavailable is worth another try; any other is not.
func (m *Mailer) Send(ctx context.Context, to, subject, text string) error {
	const op = "mail.Send"
	msg, err := m.message(to, subject, text)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	client, err := smtp.NewClient(m.host, m.options...)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	if err = client.DialAndSendWithContext(ctx, msg); err == nil {
		return nil
	}
	if refused(err) {
		return &ticketing.Error{Kind: ticketing.BadRequest, Op: op, Msg: "The mail server refuses the mail.", Err: err}
	}
	return &ticketing.Error{Kind: ticketing.Unavailable, Op: op, Msg: "The mail server does not take the mail.", Err: err}
}

func (m *Mailer) message(to, subject, text string) (*smtp.Msg, error) {
	msg := smtp.NewMsg(smtp.WithNoDefaultUserAgent())
	if err := msg.FromFormat(m.from.Name, m.from.Address); err != nil {
		return nil, err
	}
	if err := msg.To(to); err != nil {
		return nil, err
	}
	msg.Subject(subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(rand.Text() + "@" + m.domain) // not this machine's name
	msg.SetGenHeader("Auto-Submitted", "auto-generated")    // no out-of-office answers
	msg.SetBodyString(smtp.TypeTextPlain, text)
	return msg, nil
}

// refused reports whether the server has said no for good.
func refused(err error) bool {
	var sent *smtp.SendError
	if errors.As(err, &sent) {
		return !sent.IsTemp() && sent.ErrorCode() >= 500
	}
	var reply *textproto.Error
	return errors.As(err, &reply) && reply.Code >= 500
}
