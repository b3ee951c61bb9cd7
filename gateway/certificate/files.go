package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often handshakes look whether the files changed.
const lookEvery = time.Second

// Files is a certificate chain and its key in two PEM files. Whoever renews them replaces the files: handshakes notice within a second.
// Files that do not fit together, as in the middle of being replaced, leave the old certificate in use.
type Files struct {
	cert, key string
	own       bool // made here: nobody else vouches for it
	log       *slog.Logger
	now       func() time.Time
	before    func() error // runs before the files are looked at; may be nil

	current atomic.Pointer[tls.Certificate]
	looked  atomic.Int64 // when, in Unix nanoseconds
	mu      sync.Mutex
	seen    [2]stamp // held: mu
}

var _ Source = (*Files)(nil)

// stamp is what of a file changes with its content.
type stamp struct {
	modified time.Time
	size     int64
}

// Open reads a certificate chain and its key. The clock only paces how often the files are looked at.
func Open(cert, key string, log *slog.Logger, now func() time.Time) (*Files, error) {
	f := &Files{cert: cert, key: key, log: log, now: now}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Get implements [Source].
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := f.now().UnixNano()
	if last := f.looked.Load(); now-last >= int64(lookEvery) && f.looked.CompareAndSwap(last, now) {
		f.look()
	}
	return f.current.Load(), nil
}

// look reads the files again if they changed. What goes wrong is logged once for every change.
func (f *Files) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		if err := f.before(); err != nil {
			f.log.Error("the certificate cannot be renewed; the old one stays", "error", err)
		}
	}
	if at, err := f.stamps(); err != nil || at == f.seen { // a file that is missing is being replaced
		return
	}
	if err := f.read(); err != nil {
		f.log.Error("the new certificate is no good; the old one stays", "error", err)
	}
}

// Reload implements [Source].
func (f *Files) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		if err := f.before(); err != nil {
			return err
		}
	}
	return f.read()
}

// read takes the files' content over if it is good. held: mu
func (f *Files) read() error {
	at, err := f.stamps()
	if err != nil {
		return err
	}
	f.seen = at // also of a bad one: it is reported once
	c, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", f.cert, f.key, err)
	}
	if c.Leaf == nil {
		return fmt.Errorf("certificate %s has no leaf", f.cert)
	}
	if old := f.current.Swap(&c); old != nil && !old.Leaf.Equal(c.Leaf) {
		f.log.Info("a new certificate is in use", "fingerprint", Fingerprint(c.Leaf), "until", c.Leaf.NotAfter)
	}
	return nil
}

func (f *Files) stamps() (at [2]stamp, err error) {
	for i, name := range []string{f.cert, f.key} {
		info, e := os.Stat(name)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		at[i] = stamp{info.ModTime(), info.Size()}
	}
	return at, err
}

// Names implements [Source].
func (f *Files) Names() []string { return names(f.Leaf()) }

// Trusted implements [Source].
func (f *Files) Trusted() bool { return !f.own && !selfSigned(f.Leaf()) }

// Leaf is the certificate in use. Nobody may change it.
func (f *Files) Leaf() *x509.Certificate { return f.current.Load().Leaf }
