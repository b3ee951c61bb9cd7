package gateway

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// memoryBackups makes backups of nothing, and says how often they were closed.
type memoryBackups struct {
	begin, write error
	recipient    string
	closed       chan struct{}
	life         context.Context
	size         int // of what is in it
}

func newMemoryBackups(t *testing.T) *memoryBackups {
	return &memoryBackups{closed: make(chan struct{}, 1), life: t.Context(), size: 11 << 17}
}

func (m *memoryBackups) Context() context.Context { return m.life }

func (m *memoryBackups) BeginBackup(_ context.Context, recipient string) (Backup, error) {
	m.recipient = recipient
	if m.begin != nil {
		return nil, m.begin
	}
	return m, nil
}

func (m *memoryBackups) WriteTar(w io.Writer) error {
	t := tar.NewWriter(w)
	data := bytes.Repeat([]byte("all of it. "), m.size/11)
	err := errors.Join(t.WriteHeader(&tar.Header{Name: "file", Size: int64(len(data))}), func() error {
		_, err := io.Copy(struct{ io.Writer }{t}, struct{ io.Reader }{bytes.NewReader(data)})
		return err
	}(), m.write)
	if err != nil {
		return err
	}
	return t.Close()
}

func (m *memoryBackups) Close() { m.closed <- struct{}{} }

// A node that stops does not wait for a client that reads nothing of its backup.
func TestBackupNobodyReads(t *testing.T) {
	m, s := newMemoryBackups(t), newSite(t)
	m.size = 64 << 20 // more than sockets hold
	life, stop := context.WithCancel(t.Context())
	m.life, s.g.s.Backups = life, m
	op := s.signedIn("op", ticketing.RoleOperator)
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil { // a system may give a socket more room than any backup of a test
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(nc, "GET /api/backup HTTP/1.1\r\nHost: %s\r\nCookie: session=%s\r\n\r\n", s.addr, op.cookie); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	stop()
	<-m.closed
}

func TestBackup(t *testing.T) {
	m := newMemoryBackups(t)
	s := newSite(t)
	s.g.s.Backups = m
	op := s.signedIn("op", ticketing.RoleOperator)
	s.anonymous().do("GET", "/api/backup", "").want(401)
	s.signedIn("ann", ticketing.RoleUser).do("GET", "/api/backup", "").want(403)
	s.signedIn("mod", ticketing.RoleModerator).do("GET", "/api/backup", "").want(403)
	a := op.do("GET", "/api/backup?keys=age1x", "").want(200)
	<-m.closed
	r := tar.NewReader(bytes.NewReader(a.Body))
	h, err := r.Next()
	if err != nil || h.Size != 11<<17 {
		t.Fatalf("%+v, %v", h, err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Error(err)
	}
	if m.recipient != "age1x" || a.Header.Get("Content-Type") != "application/x-tar" {
		t.Errorf("%q, %v", m.recipient, a.Header)
	}
	if !strings.Contains(s.logs.String(), "backup made") {
		t.Error("nobody will know that everything was copied")
	}
	m.write = errors.New("a shard is gone")
	a = op.do("GET", "/api/backup", "").want(200)
	<-m.closed
	r = tar.NewReader(bytes.NewReader(a.Body))
	_, _ = r.Next()
	if strings.HasSuffix(string(a.Body), strings.Repeat("\x00", 1024)) {
		t.Error("a backup that broke off has an end")
	}
	m.begin = ticketing.Errorf(ticketing.Unavailable, "A shard has no leader.")
	if a := op.do("GET", "/api/backup", "").want(503); a.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to come back")
	}
	m.begin = ticketing.InvalidField("keys", "This is no recipient.")
	op.do("GET", "/api/backup?keys=x", "").want(400)
	s.clock.advance(provenLife + time.Minute)
	op.do("GET", "/api/backup", "").want(401)
	s.g.s.Backups = nil
	s.signedIn("op2", ticketing.RoleOperator).do("GET", "/api/backup", "").want(503)
}
