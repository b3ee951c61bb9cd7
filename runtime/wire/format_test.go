package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"ticketing"
)

// TestOldForms: whatever a program of a format that this one knows has written is read, and nothing in it is lost: encoded again, it has every
// field that it had, with the same value.
func TestOldForms(t *testing.T) {
	types := golden()
	for format := Formats().Oldest; format <= ticketing.FirstFormat; format++ {
		path := filepath.Join("testdata", fmt.Sprintf("format-%d", format), "values.txt")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for line := range strings.Lines(string(text)) {
			name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
			if !ok || name == "#" {
				continue
			}
			old, err := hex.DecodeString(value)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			v, known := types[name]
			if !known {
				t.Errorf("%s is stored somewhere, and not known any more", name)
				continue
			}
			back := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if err := Unmarshal(old, back); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if lost := missing(generic(t, old), generic(t, Marshal(back)), name); lost != "" {
				t.Errorf("%s, as it was stored: %x", lost, old)
			}
			read++
		}
		if read < 60 {
			t.Errorf("%s has only %d values", path, read)
		}
	}
}

func generic(t *testing.T, b []byte) (v any) {
	t.Helper()
	if err := decMode.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// missing says what of one decoded value is not in another; empty: nothing.
func missing(was, is any, where string) string {
	switch was := was.(type) {
	case map[any]any:
		now, _ := is.(map[any]any)
		for k, v := range was {
			if lost := missing(v, now[k], fmt.Sprintf("%s.%v", where, k)); lost != "" {
				return lost
			}
		}
	case []any:
		now, _ := is.([]any)
		if len(now) != len(was) {
			return where
		}
		for i := range was {
			if lost := missing(was[i], now[i], fmt.Sprintf("%s[%d]", where, i)); lost != "" {
				return lost
			}
		}
	case cbor.Tag:
		return where + " is a tag, which nothing of ours is"
	default:
		if !reflect.DeepEqual(was, is) {
			return fmt.Sprintf("%s is lost: %v has become %v", where, was, is)
		}
	}
	return ""
}

// TestOldBytes: entries and events have forms of their own. These were written by the first program, and are read for ever.
func TestOldBytes(t *testing.T) {
	entry, err := hex.DecodeString("0180808080802080a0abfef9624d020102016b0176020304676f6e65")
	if err != nil {
		t.Fatal(err)
	}
	want := AppendEntryHeader(nil, EntryHeader{Base: 1 << 40, Time: 1_700_000_000_000, Head: 77, Events: 2})
	want = AppendDelete(AppendSet(want, 2, []byte("k"), []byte("v")), 3, []byte("gone"))
	if err := readAll(entry); err != nil || Formats().Oldest == 1 && !bytes.Equal(entry, want) {
		t.Errorf("%v; today it is %x", err, want)
	}
	event, err := hex.DecodeString("01000d0000018bcfe568000000000300010000000000000000000000000000" + "0002000000000000000000000000000001a0")
	if err != nil {
		t.Fatal(err)
	}
	ev, err := ReadEventHeader(5, event)
	if err != nil || ev.Type != 13 || ev.Rev != 3 || ev.At.UnixMilli() != 1_700_000_000_000 {
		t.Errorf("%+v, %v", ev, err)
	}
}

// An entry of a format that this program does not know says so; entries of the formats that it knows say which.
func TestEntryFormats(t *testing.T) {
	known := Formats()
	for format := known.Oldest; format <= known.Newest; format++ {
		r, err := ReadEntry(AppendEntryHeader(nil, EntryHeader{Format: format}))
		if err != nil || r.Header.Format != format {
			t.Errorf("%d: %v", format, err)
		}
	}
	_, err := ReadEntry(AppendEntryHeader(nil, EntryHeader{Format: known.Newest + 1}))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("cluster format %d", known.Newest+1)) {
		t.Errorf("%v", err)
	}
}
