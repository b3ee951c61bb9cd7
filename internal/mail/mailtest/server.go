// Package mailtest runs an SMTP server for tests, and keeps what it was sent.
package mailtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/mail"
	"sync"
	"testing"
	"time"

	"mime/quotedprintable"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Account is what the server accepts when somebody authenticates.
const (
	User     = "mailer"
	Password = "mail secret"
)

// Mail is a mail as it arrived.
type Mail struct {
	From, To string // of the envelope
	Header   mail.Header
	Text     string // decoded
	TLS      bool   // it came over TLS
	User     string // who authenticated
}

// Server is a running SMTP server. Its fields may be set before the first mail.
type Server struct {
	Addr string      // host:port
	TLS  *tls.Config // for clients: trusts the server

	t    testing.TB
	smtp *smtp.Server
	mu   sync.Mutex
	// fail answers recipients as long as it has errors, one at a time.
	fail  []error
	mails chan Mail
}

// New starts a server with STARTTLS; with implicit set it speaks TLS from the first byte.
func New(t testing.TB, implicit bool) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, pool := certificate(t)
	s := &Server{t: t, Addr: ln.Addr().String(), TLS: &tls.Config{RootCAs: pool}, mails: make(chan Mail, 1024)}
	s.smtp = smtp.NewServer(s)
	s.smtp.Domain, s.smtp.ReadTimeout, s.smtp.WriteTimeout = "mail.test", 10*time.Second, 10*time.Second
	s.smtp.ErrorLog = discard{}
	s.smtp.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	if implicit {
		ln = tls.NewListener(ln, s.smtp.TLSConfig)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.smtp.Serve(ln) }()
	t.Cleanup(func() { _ = s.smtp.Close(); <-done })
	return s
}

// Fail makes the server answer the next recipients with these SMTP codes, such as 450 or 550.
func (s *Server) Fail(codes ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range codes {
		s.fail = append(s.fail, &smtp.SMTPError{Code: c, EnhancedCode: smtp.EnhancedCode{c / 100, 2, 0}, Message: "not now"})
	}
}

// Next waits for the next mail.
func (s *Server) Next() Mail {
	s.t.Helper()
	select {
	case m := <-s.mails:
		return m
	case <-time.After(30 * time.Second):
		s.t.Fatal("no mail arrives")
		return Mail{}
	}
}

// Waiting returns how many mails have arrived that nobody has taken.
func (s *Server) Waiting() int { return len(s.mails) }

// NewSession implements smtp.Backend.
func (s *Server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

type session struct {
	server *Server
	conn   *smtp.Conn
	mail   Mail
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != User || password != Password {
			return smtp.ErrAuthFailed
		}
		s.mail.User = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.mail.From = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if len(s.server.fail) > 0 {
		err := s.server.fail[0]
		s.server.fail = s.server.fail[1:]
		return err
	}
	s.mail.To = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	body := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	_, s.mail.TLS = s.conn.TLSConnectionState()
	s.mail.Header, s.mail.Text = m.Header, string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	s.server.mails <- s.mail
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// certificate makes one for 127.0.0.1 and localhost, and a pool that trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
