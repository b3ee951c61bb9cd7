package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ticketing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden returns one filled value of every stored or sent type. Zero fields would hide a changed key.
func golden() map[string]any {
	id := func(n byte) ticketing.ID {
		return ticketing.NewID(ticketing.Slot(n), time.UnixMilli(1_700_000_000_000+int64(n)), uint64(n))
	}
	values := map[string]any{}
	for t := ticketing.EventType(1); t < 200; t++ {
		if d := ticketing.NewEventData(t); d != nil {
			fill(reflect.ValueOf(d).Elem(), id)
			values["event-"+strings.ToLower(t.String())] = d
		}
	}
	for _, c := range []any{new(ticketing.SignUp), new(ticketing.StartSession), new(ticketing.EndSession), new(ticketing.RenewSession), new(ticketing.SetRoles),
		new(ticketing.CreatePost), new(ticketing.EditPost), new(ticketing.DeleteItem), new(ticketing.CreateComment), new(ticketing.EditComment),
		new(ticketing.OpenTicket), new(ticketing.DecideTicket), new(ticketing.UploadPlugin), new(ticketing.SetRule), new(ticketing.Created),
		new(ticketing.Credentials), new(ticketing.UserSession), new(ticketing.TicketChange), new(ticketing.PostChange), new(ticketing.CommentChange),
		new(ticketing.RefreshSession), new(ticketing.Refreshed), new(ticketing.SetPassword), new(ticketing.SetName), new(ticketing.SetDisabled),
		new(ticketing.RemoveUser), new(ticketing.StartProof), new(ticketing.ResetPassword), new(ticketing.VerifyEmail),
		new(ticketing.ClaimTicket), new(ticketing.ReleaseTicket), new(ticketing.NoteTicket), new(ticketing.EscalateTicket), new(ticketing.TicketCase),
		new(ticketing.ReadNotices), new(ticketing.AuthorRecord), new(ticketing.Error),
		new(ticketing.ClusterMap), new(ticketing.FoundCluster), new(ticketing.JoinCluster), new(ticketing.Joined), new(ticketing.AnnounceMember),
		new(ticketing.SetMember), new(ticketing.RaiseFormat), new(ticketing.AssignReplica), new(ticketing.StageReplica), new(ticketing.DropReplica), new(ticketing.FinishMember),
		new(ticketing.NodeReport), new(ticketing.ClusterStatus)} {
		fill(reflect.ValueOf(c).Elem(), id)
		values[strings.ToLower(reflect.TypeOf(c).Elem().Name())] = c
	}
	return values
}

// fill sets every exported field that travels to something that is not its zero value.
func fill(v reflect.Value, id func(byte) ticketing.ID) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_123).UTC()))
		return
	case ticketing.ID:
		v.Set(reflect.ValueOf(id(5)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Tag.Get("cbor") != "-" {
				fill(v.Field(i), id)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), id)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), id)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), id)
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(2)
	}
}

// TestGolden pins every stored and sent type: a changed key, type or encoding turns it red.
func TestGolden(t *testing.T) {
	for name, v := range golden() {
		path := filepath.Join("testdata", name+".cbor.hex")
		got := Marshal(v)
		if *update {
			if err := os.WriteFile(path, []byte(hex.EncodeToString(got)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%s: %v (a new type? go test -update)", name, err)
			continue
		}
		want, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is encoded differently than before:\n got %x\nwant %x", name, got, want)
		}
		back := reflect.New(reflect.TypeOf(v).Elem())
		if err := Unmarshal(want, back.Interface()); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(back.Interface(), v) {
			t.Errorf("%s does not come back:\n got %+v\nwant %+v", name, back.Interface(), v)
		}
	}
}

// TestUnknownFieldsAreKeptOut: a node reads what a newer one wrote, without the fields that it does not know.
func TestUnknownFieldsAreKeptOut(t *testing.T) {
	newer := struct {
		ID    ticketing.ID `cbor:"1,keyasint"`
		Extra string       `cbor:"999,keyasint"`
	}{ticketing.ID{0, 1}, "from the future"}
	var s ticketing.Session
	if err := Unmarshal(Marshal(newer), &s); err != nil || s.ID != newer.ID {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestEventRoundTrip(t *testing.T) {
	c := ticketing.Comment{ID: ticketing.ID{0, 7, 1}, Author: ticketing.Author{ID: ticketing.ID{0, 9, 2}, Name: "Ada"}, Text: "hi"}
	c.Rev = 3
	v := AppendEvent(nil, 1_700_000_000_123, &ticketing.CommentCreated{Comment: c})
	ev, err := ReadEventHeader(5, v)
	if err != nil || ev.Seq != 5 || ev.Type != ticketing.EvCommentCreated || ev.Subject != c.ID || ev.Author != c.Author.ID || ev.Rev != 3 || ev.At.UnixMilli() != 1_700_000_000_123 {
		t.Fatalf("%+v, %v", ev, err)
	}
	if err := DecodeEventData(&ev); err != nil {
		t.Fatal(err)
	}
	if got := ev.Data.(*ticketing.CommentCreated).Comment; got.Text != "hi" {
		t.Errorf("%+v", got)
	}
	if _, err := ReadEventHeader(5, append([]byte{2}, v[1:]...)); err == nil {
		t.Error("an event of another format is read")
	}
	unknown := ticketing.Event{Seq: 1, Type: 60000, Data: []byte{0xa0}}
	if err := DecodeEventData(&unknown); err == nil {
		t.Error("an event of an unknown type is decoded")
	}
}

func TestEntryRoundTrip(t *testing.T) {
	h := EntryHeader{Base: 1 << 40, Time: 1_700_000_000_000, Head: 77, Events: 2, Format: Formats().Newest}
	b := AppendEntryHeader(nil, h)
	b = AppendSet(b, 2, []byte("k"), []byte("v"))
	b = AppendDelete(b, 3, []byte("gone"))
	b = AppendDeleteRange(b, 4, []byte("a"), []byte("b"))
	r, err := ReadEntry(b)
	if err != nil || r.Header != h {
		t.Fatalf("%+v, %v", r, err)
	}
	want := []Op{{OpSet, 2, []byte("k"), []byte("v")}, {OpDelete, 3, []byte("gone"), nil}, {OpDeleteRange, 4, []byte("a"), []byte("b")}}
	for _, w := range want {
		op, ok, err := r.Next()
		if err != nil || !ok || !reflect.DeepEqual(op, w) {
			t.Errorf("%+v %v %v, want %+v", op, ok, err, w)
		}
	}
	if _, ok, err := r.Next(); ok || err != nil {
		t.Error("the entry does not end")
	}
	for n := range len(b) {
		if err := readAll(b[:n]); n > 0 && err == nil && !endsAtOp(b, n) {
			t.Errorf("an entry cut at %d is accepted", n)
		}
	}
}

func endsAtOp(b []byte, n int) bool {
	r, err := ReadEntry(b)
	for err == nil {
		if len(b)-len(r.rest) == n {
			return true
		}
		var ok bool
		if _, ok, err = r.Next(); !ok {
			break
		}
	}
	return false
}

func readAll(b []byte) error {
	r, err := ReadEntry(b)
	for ok := true; err == nil && ok; {
		_, ok, err = r.Next()
	}
	return err
}

func FuzzEntry(f *testing.F) {
	f.Add(AppendSet(AppendEntryHeader(nil, EntryHeader{Base: 1, Head: 2, Events: 1}), 2, []byte("k"), []byte("v")))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := readAll(b); err != nil && !errors.Is(err, ErrEntry) {
			t.Errorf("%v", err)
		}
	})
}

func BenchmarkMarshalComment(b *testing.B) {
	c := ticketing.Comment{ID: ticketing.ID{0, 7, 1}, Post: ticketing.ID{0, 7}, Author: ticketing.Author{ID: ticketing.ID{0, 9, 2}, Name: "Ada"}, Text: strings.Repeat("word ", 20)}
	c.Rev, c.Status, c.CreatedAt, c.Moved = 1, ticketing.Pending, time.UnixMilli(1_700_000_000_123).UTC(), 1
	enc := Marshal(&c)
	b.Run("marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Marshal(&c)
		}
	})
	b.Run("unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var d ticketing.Comment
			if err := Unmarshal(enc, &d); err != nil {
				b.Fatal(err)
			}
		}
	})
}
