package gateway

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
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
}

func (m *memoryBackups) BeginBackup(_ context.Context, recipient string) (Backup, error) {
	m.recipient = recipient
	if m.begin != nil {
		return nil, m.begin
	}
	return m, nil
}

func (m *memoryBackups) WriteTar(w io.Writer) error {
	t := tar.NewWriter(w)
	data := bytes.Repeat([]byte("all of it. "), 1<<17)
	err := errors.Join(t.WriteHeader(&tar.Header{Name: "file", Size: int64(len(data))}), func() error { _, err := t.Write(data); return err }(), m.write)
	if err != nil {
		return err
	}
	return t.Close()
}

func (m *memoryBackups) Close() { m.closed <- struct{}{} }

func TestBackup(t *testing.T) {
	m := &memoryBackups{closed: make(chan struct{}, 1)}
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
