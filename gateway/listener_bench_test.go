package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/gateway/certificate"
)

// BenchmarkListener reads a feed of 20 posts as somebody who is signed in, over 64 connections that are kept. The generator runs in the same
// process: what it costs counts.
func BenchmarkListener(b *testing.B) {
	files, err := certificate.SelfSigned(b.TempDir(), []string{"localhost"}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		name, c := "plain", Config{Dev: true, Hosts: []string{"bench"}, Limits: 1e9}
		if secure {
			name, c.TLS = "tls", certificate.Config(files, 0)
		}
		b.Run(name, func(b *testing.B) {
			m := newMemory()
			g, err := New(c, m.services(), newKeyring(), nil, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			g.limits.local = false // they count, and allow everything
			fill(m)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- g.Serve(ln) }()
			request := []byte("GET /api/feed?limit=20 HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + benchToken(b, g, m) + "\r\n\r\n")
			b.SetParallelism(32)
			begin := time.Now()
			b.RunParallel(func(pb *testing.PB) { ask(b, pb, ln.Addr().String(), secure, request) })
			b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "requests/s")
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := g.Shutdown(ctx); err != nil {
				b.Error(err)
			}
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}

func fill(m *memory) {
	author := ticketing.Author{ID: ticketing.NewID(1, time.Now(), 1), Name: "Author"}
	for i := range 50 {
		id := ticketing.NewID(1, time.Now(), uint64(i))
		m.CreatePost(context.Background(), ticketing.CreatePost{Meta: testMeta(time.Now()), ID: id, Author: author, Title: fmt.Sprint("Post ", i), Body: strings.Repeat("Some text. ", 10)})
		m.judge(id, ticketing.Approved, "")
	}
}

// ask is one connection of the generator.
func ask(b *testing.B, pb *testing.PB, address string, secure bool, request []byte) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		b.Error(err)
		return
	}
	defer nc.Close()
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	r := bufio.NewReaderSize(nc, 32<<10)
	for pb.Next() {
		if _, err := nc.Write(request); err != nil {
			b.Error(err)
			return
		}
		length := 0
		for first := true; ; first = false {
			line, err := r.ReadSlice('\n')
			if err != nil || first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
				b.Errorf("%v %q", err, line)
				return
			}
			if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil || length < 1000 {
			b.Errorf("%d bytes, %v", length, err)
			return
		}
	}
}
