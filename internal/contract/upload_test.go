package contract

import (
	"bytes"
	varint "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"testing"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// padded returns a module with a custom section of so many bytes, which follow from the seed: the same rule under another digest.
func padded(module []byte, size int, seed uint64) []byte {
	const name = "padding"
	body := append(varint.AppendUvarint(nil, uint64(len(name))), name...)
	r := rand.New(rand.NewPCG(seed, 0))
	for range size {
		body = append(body, byte(r.Uint32()))
	}
	out := varint.AppendUvarint(append(slices.Clone(module), 0), uint64(len(body)))
	return append(out, body...)
}

// versionsOf lists the versions of all plugins.
func versionsOf(t *testing.T, op *client) []ticketing.PluginVersion {
	t.Helper()
	var all struct{ Items []ticketing.PluginVersion }
	if r := op.must(t, 200, "GET", "/api/plugins", nil); json.Unmarshal([]byte(r.raw), &all) != nil {
		t.Fatalf("%s", r.raw)
	}
	return all.Items
}

// uploadBytes returns an upload as it goes over the wire, and where its body begins. A body in pieces says no length beforehand.
func uploadBytes(t *testing.T, op *client, name string, module []byte, pieces bool) (wire []byte, body int) {
	t.Helper()
	var head, all bytes.Buffer
	host := strings.TrimPrefix(op.url, "http://")
	fmt.Fprintf(&head, "POST /api/plugins/%s/versions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/wasm\r\n", name, host, op.token)
	if !pieces {
		fmt.Fprintf(&head, "Content-Length: %d\r\n\r\n", len(module))
		return append(head.Bytes(), module...), head.Len()
	}
	head.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	all.Write(head.Bytes())
	w := httputil.NewChunkedWriter(&all)
	for part := range slices.Chunk(module, len(module)/3+1) {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	all.WriteString("\r\n")
	return all.Bytes(), head.Len()
}

// cutOff sends the first bytes of a request, and closes the connection: politely, or at once as a crash does.
func cutOff(t *testing.T, op *client, wire []byte, at int, abrupt bool) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(op.url, "http://"))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if _, err := conn.Write(wire[:at]); err != nil {
		t.Error(err)
	}
	if abrupt {
		_ = conn.(*net.TCPConn).SetLinger(0)
		return
	}
	// The server answers what it makes of it, or closes: then it has done with the request.
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}

// An upload whose connection ends after any byte leaves nothing, and the same upload then succeeds as the first.
func TestUploadCutAnywhere(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	op := s.operator()
	builtins := len(versionsOf(t, op))
	for _, tc := range []struct {
		name   string
		module []byte
		pieces bool
		stride int // between two cuts in the middle of the body
	}{
		{"whole", hosttest.RejectAll, false, 1},
		{"pieces", hosttest.RejectAll, true, 1},
		{"long", padded(hosttest.RejectAll, 600<<10, 1), false, 37_813},
	} {
		wire, body := uploadBytes(t, op, tc.name, tc.module, tc.pieces)
		end := len(wire)
		if tc.pieces {
			end -= len("0\r\n\r\n") // whoever got all bytes and knows it may take them
		}
		var wg sync.WaitGroup
		busy := make(chan struct{}, 8)
		cuts := 0
		for at := range end {
			boundary := (at-body)%(256<<10) < 2 || (at-body)%4096 == 0 && (at-body)%(64<<10) == 0
			if at > body+64 && at < end-64 && (at-body)%tc.stride != 0 && !boundary {
				continue
			}
			cuts++
			busy <- struct{}{}
			wg.Go(func() { cutOff(t, op, wire, at, at%2 == 0); <-busy })
		}
		wg.Wait()
		for _, v := range versionsOf(t, op) {
			if v.Name == tc.name {
				t.Errorf("%s: a cut upload left %+v", tc.name, v)
			}
		}
		// Nothing of it is there, so this is not the same bytes again.
		r := op.must(t, http.StatusCreated, "POST", "/api/plugins/"+tc.name+"/versions", tc.module)
		if r.str("version") != "v1" || r.str("state") != "probed" || r.str("digest") != ticketing.DigestOf(tc.module).String() {
			t.Errorf("%s: %s", tc.name, r.raw)
		}
		t.Logf("%s: cut after %d of %d bytes", tc.name, cuts, len(wire))
	}
	// A client that is gone when everything has arrived: nothing, or all of it.
	for n := range 4 {
		module := padded(hosttest.RejectAll, 100, uint64(n))
		wire, _ := uploadBytes(t, op, "gone", module, n%2 == 0)
		cutOff(t, op, wire, len(wire), n < 2)
		r, err := op.do(t.Context(), "POST", "/api/plugins/gone/versions", module)
		if err != nil || r.status != http.StatusCreated && r.status != http.StatusOK || r.str("state") != "probed" {
			t.Errorf("once more: %v %s", err, r.raw)
		}
	}
	all := versionsOf(t, op)
	for _, v := range all {
		if v.State != ticketing.VersionProbed && v.State != ticketing.VersionActive {
			t.Errorf("%s %s is %s", v.Name, v.Version, v.State)
		}
	}
	if len(all) != builtins+3+4 {
		t.Errorf("%d versions, of which %d are built in", len(all), builtins)
	}
}
