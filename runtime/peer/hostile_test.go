package peer

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestHostile: whatever connects is refused with a reason, which is reported once, nothing is answered without a valid certificate, and
// the node goes on serving others.
func TestHostile(t *testing.T) {
	w := newWorld(t)
	other, err := NewAuthority(cluster, epoch) // of the same ID, with another key
	if err != nil {
		t.Fatal(err)
	}
	foreign := &Authority{"elsewhere", w.ca.cert, w.ca.key} // the same key, for another ID
	early := &Authority{cluster, w.ca.cert, w.ca.key}
	valid := w.files(w.ca, "n9", 0)
	short := w.files(w.ca, "n9", time.Minute) // has expired when it is used
	w.pass(time.Hour)
	header, err := encodeHeader("echo", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	notYet := func() string {
		w.pass(48 * time.Hour)
		defer w.pass(-48 * time.Hour)
		return w.files(early, "n9", 0)
	}()
	for _, tc := range []struct {
		name string
		tls  *tls.Config
		send []byte
		logs string // what is reported; empty: nothing
	}{
		{"plaintext", nil, []byte("GET / HTTP/1.1\r\nHost: n1\r\n\r\n"), "does not speak TLS"},
		{"garbage", nil, bytes.Repeat([]byte{0x16, 3, 1, 0, 5, 0xff}, 100), "the handshake failed"},
		{"silence", nil, nil, "did not say in time"},
		{"no certificate", &tls.Config{NextProtos: []string{protoStream}}, header, "client didn't provide a certificate"},
		{"old TLS", func() *tls.Config { c := w.pair(valid); c.MaxVersion = tls.VersionTLS12; return c }(), header, "unsupported versions"},
		{"another authority", w.pair(w.files(other, "n9", 0)), header, "the certificate of node n9 is not of this cluster's authority"},
		{"another cluster", w.pair(w.files(foreign, "n9", 0)), header, "of another cluster (elsewhere)"},
		{"expired", w.pair(short), header, "the certificate of node n9 has expired on 2030-05-01"},
		{"not yet valid", w.pair(notYet), header, "valid only from"},
		{"the authority's own", &tls.Config{NextProtos: []string{protoStream}, Certificates: []tls.Certificate{{Certificate: [][]byte{w.ca.cert.Raw}, PrivateKey: w.ca.key}}}, header, "an authority's"},
		{"another protocol", func() *tls.Config { c := w.pair(valid); c.NextProtos = []string{"http/1.1"}; return c }(), header, "unsupported application protocols"},
		{"no protocol", func() *tls.Config { c := w.pair(valid); c.NextProtos = nil; return c }(), header, "names no protocol"},
		{"slow header", w.pair(valid), header[:3], "did not say in time"},
		{"nothing of a header", w.pair(valid), []byte{}, "did not say in time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := w.node("n1", func(c *Config) { c.Handshake = 300 * time.Millisecond })
			friend := w.quietNode("n2", func(c *Config) { c.Handshake = time.Minute })
			for range 3 {
				c := w.raw(n, tc.tls)
				_, err := c.Write(tc.send) // with TLS, after the handshake
				got, rerr := io.ReadAll(c)
				if rerr == nil && err == nil && len(got) > 0 {
					t.Errorf("it answers %q", got)
				}
				_ = c.Close()
			}
			eventually(t, "it is reported", func() bool { return n.log.having(tc.logs) > 0 })
			for _, line := range n.log.lines() {
				if strings.Contains(line, "goroutine") || n.log.having(tc.logs) != 1 || !strings.Contains(line, "host=127.0.0.1") {
					t.Errorf("reported: %s", line)
				}
			}
			eventually(t, "others are served", func() bool { return try(t.Context(), friend.Peers, "n1") == nil })
		})
	}
}

// TestRefusedStreams: who has a valid certificate is told why a stream is refused.
func TestRefusedStreams(t *testing.T) {
	w := newWorld(t)
	n, friend := w.node("n1", nil), w.quietNode("n2", nil)
	w.admits(func(node, purpose string) error {
		if purpose == "raft" {
			return errors.New("node " + node + " was removed from the cluster")
		}
		return nil
	})
	for purpose, want := range map[string]string{"raft": "node n1 refuses: node n2 was removed from the cluster", "tea": `node n1 refuses: node n1 does not know streams for "tea"`} {
		for range 3 {
			_, err := friend.Open(t.Context(), "n1", purpose, nil)
			var refused *Refused
			if !errors.As(err, &refused) || refused.Node != "n1" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", purpose, err)
			}
		}
	}
	w.admits(func(string, string) error { return errors.New(strings.Repeat("ä", 200)) })
	if _, err := friend.Open(t.Context(), "n1", "echo", nil); err == nil || !strings.HasSuffix(err.Error(), strings.Repeat("ä", 127)) {
		t.Errorf("a long reason: %v", err)
	}
	w.admits(nil)
	if _, err := friend.Open(t.Context(), "n1", "echo", make([]byte, maxHeader)); err == nil {
		t.Error("an oversized argument is sent")
	}
	raw := func(b []byte) error {
		c := w.raw(n, w.pair(w.files(w.ca, "n9", 0)))
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		return readStatus(c)
	}
	for want, b := range map[string][]byte{
		"a header of 65535 bytes": append([]byte{0xff, 0xff}, make([]byte, 20000)...),
		"a header of 0 bytes":     {0, 0, 0},
		"makes no sense":          {0, 3, 200, 'a', 'b'},
	} {
		if err := raw(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check(t, friend.Peers, "n1")
	eventually(t, "the headers are reported", func() bool { return n.log.having("it sent a header") == 1 })
	if got := len(n.log.lines()); got != 4 {
		t.Errorf("%d lines are reported:\n%s", got, strings.Join(n.log.lines(), "\n"))
	}
}

// TestReportedAgain: a reason is reported again after a minute, and what is remembered is bounded.
func TestReportedAgain(t *testing.T) {
	w := newWorld(t)
	n := w.node("n1", nil)
	plain := func() {
		c := w.raw(n, nil)
		if _, err := c.Write([]byte("hello, is this TLS?")); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(c)
	}
	plain()
	eventually(t, "it is reported", func() bool { return n.log.having("TLS") == 1 })
	plain()
	w.pass(time.Minute)
	plain()
	eventually(t, "it is reported again", func() bool { return n.log.having("TLS") == 2 })
	for i := range 5 * refusalHosts {
		n.refusals.first(refusalKey{"k", string(binary.BigEndian.AppendUint32(nil, uint32(i)))})
	}
	if got := len(n.refusals.last); got > refusalHosts+1 {
		t.Errorf("%d are remembered", got)
	}
}

// TestGarbage: what an accepted peer sends is its handler's matter; that one fails harms nobody.
func TestGarbage(t *testing.T) {
	w := newWorld(t)
	n, friend := w.node("n1", nil), w.quietNode("n2", nil)
	n.Handle("fragile", func(conn net.Conn, _ string, _ []byte) {
		b := make([]byte, 1)
		_, _ = io.ReadFull(conn, b)
		panic("broken")
	})
	c, err := friend.Open(t.Context(), "n1", "fragile", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(bytes.Repeat([]byte{0xa5}, 4096)); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	eventually(t, "it is reported", func() bool { return n.log.having("panic=broken") == 1 })
	// below TLS
	tc := w.raw(n, w.pair(w.files(w.ca, "n9", 0))).(*tls.Conn)
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := tc.NetConn().Write([]byte("plain text behind the handshake")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(tc); err == nil && len(got) > 0 {
		t.Errorf("got %q", got)
	}
	check(t, friend.Peers, "n1")
}

// TestFlood: handshakes that lead nowhere are bounded, and others get through when their time is over.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	friend := w.quietNode("n2", func(c *Config) { c.Handshake = time.Minute })
	for _, within := range []time.Duration{300 * time.Millisecond, time.Hour} {
		n := w.node("n1", func(c *Config) { c.Handshakes, c.Handshake = 2, within })
		var flood []net.Conn
		for range 20 {
			flood = append(flood, w.raw(n, nil))
		}
		eventually(t, "the rest is refused", func() bool { return n.log.having("too many") == 1 })
		if within == time.Hour {
			for _, c := range flood {
				_ = c.Close()
			}
		}
		eventually(t, "a friend gets through", func() bool { return try(t.Context(), friend.Peers, "n1") == nil })
	}
}
