package pairs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// stream has n pairs, of which some need frames of their own.
func stream(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, 3)
	for i := range n {
		if err := w.Pair(fmt.Appendf(nil, "key %04d", i), bytes.Repeat([]byte{byte(i)}, i*100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(7); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func skip(_, _ []byte) error { return nil }

// TestRoundTrip: what is written is read, also if it comes byte by byte.
func TestRoundTrip(t *testing.T) {
	good := stream(t, 100)
	for name, src := range map[string]io.Reader{"whole": bytes.NewReader(good), "bytes": iotest.OneByteReader(bytes.NewReader(good))} {
		i := 0
		mark, err := Read(src, 3, func(key, value []byte) error {
			if string(key) != fmt.Sprintf("key %04d", i) || len(value) != i*100 {
				t.Fatalf("%s: pair %d is %s with %d bytes", name, i, key, len(value))
			}
			i++
			return nil
		})
		if err != nil || mark != 7 || i != 100 {
			t.Errorf("%s: %d pairs, mark %d (%v)", name, i, mark, err)
		}
	}
	if mark, err := Read(bytes.NewReader(stream(t, 0)), 3, skip); err != nil || mark != 7 {
		t.Errorf("an empty one: mark %d (%v)", mark, err)
	}
	stop := errors.New("enough")
	if _, err := Read(bytes.NewReader(good), 3, func(_, _ []byte) error { return stop }); err != stop {
		t.Error(err)
	}
}

// TestGolden pins the format.
func TestGolden(t *testing.T) {
	const golden = "tktsnap\x01\x00\x03" + "\x00\x00\x00\x06\x94WC\xd2" + "\x01\x02\x01kxv" +
		"\x00\x00\x00\x15\x9c\xd7x\x9c" + "\x02\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x01\xb2\xaed\xcd"
	var b bytes.Buffer
	w := NewWriter(&b, 3)
	if err := errors.Join(w.Pair([]byte("kx"), []byte("v")), w.Finish(7)); err != nil {
		t.Fatal(err)
	}
	if b.String() != golden {
		t.Errorf("written as\n%q, want\n%q", b.String(), golden)
	}
}

// TestBad: a stream that is not whole, or not what it should be, is refused, and why is said.
func TestBad(t *testing.T) {
	good := stream(t, 100)
	flipped := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 4
		return b
	}
	write := func(keys ...string) []byte {
		var b bytes.Buffer
		w := NewWriter(&b, 3)
		for _, k := range keys {
			_ = w.Pair([]byte(k), nil)
		}
		_ = w.Finish(0)
		return b.Bytes()
	}
	frame := streamHeader + frameHeader + int(binary.BigEndian.Uint32(good[streamHeader:]))
	for _, tc := range []struct {
		name string
		bad  []byte
		want string
	}{
		{"empty", nil, "no header"},
		{"cut", good[:len(good)/2], "cut short"},
		{"no trailer", good[:len(good)-trailerLen-frameHeader], "cut short"},
		{"longer", append(bytes.Clone(good), 0), "goes on"},
		{"header", flipped(0), "unknown format"},
		{"other ID", flipped(9), "of 0x0007 and not of 0x0003"},
		{"length", flipped(streamHeader + 2), "cut short"},
		{"too long", append(append(bytes.Clone(good[:streamHeader]), 0xff, 0xff, 0xff, 0xff), good[streamHeader+4:]...), "a part of 4294967295 bytes"},
		{"pairs", flipped(5000), "wrong checksum"},
		{"trailer", flipped(len(good) - 1), "wrong checksum"},
		{"missing part", append(bytes.Clone(good[:streamHeader]), good[frame:]...), "are missing"},
		{"twice the same key", write("a", "a"), "not in order"},
		{"back", write("b", "a"), "not in order"},
		{"without a key", write(""), "malformed"},
	} {
		if _, err := Read(bytes.NewReader(tc.bad), 3, skip); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	broken := errors.New("broken")
	if _, err := Read(io.MultiReader(bytes.NewReader(good), iotest.ErrReader(broken)), 3, skip); !errors.Is(err, broken) {
		t.Errorf("one that does not end: %v", err)
	}
}

// failing fails after some writes.
type failing int

func (f *failing) Write(p []byte) (int, error) {
	if *f--; *f < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// TestWriteError: the first error sticks.
func TestWriteError(t *testing.T) {
	f := failing(1)
	w := NewWriter(&f, 3)
	if err := w.Pair([]byte("a"), make([]byte, frameTarget)); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
	f = 100
	if err := w.Finish(0); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	good := stream(f, 3)
	f.Add(good)
	f.Add(good[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		_, _ = Read(bytes.NewReader(b), 3, func(key, value []byte) error {
			n += len(key) + len(value)
			return nil
		})
		if n > len(b) {
			t.Errorf("%d bytes of pairs in %d bytes", n, len(b))
		}
	})
}
