package users

import (
	"reflect"
	"testing"
	"time"

	"ticketing"
	"ticketing/runtime/wire"
)

// A session of before there were refresh tokens is read, and what is stored now reads as a Session: the fields lie side by
// side, not one within the other.
func TestStoredSession(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	type before struct {
		ID        ticketing.ID `cbor:"1,keyasint"`
		User      ticketing.ID `cbor:"2,keyasint"`
		StartedAt time.Time    `cbor:"3,keyasint"`
		SeenAt    time.Time    `cbor:"4,keyasint"`
	}
	var o session
	if err := wire.Unmarshal(wire.Marshal(before{ticketing.ID{1}, ticketing.ID{2}, at, at}), &o); err != nil {
		t.Fatal(err)
	}
	if want := (session{Session: ticketing.Session{ID: ticketing.ID{1}, User: ticketing.ID{2}, StartedAt: at, SeenAt: at}}); !reflect.DeepEqual(o, want) || !o.Proven().Equal(at) {
		t.Errorf("%+v, want %+v", o, want)
	}
	o.Agent, o.Refreshes, o.Refresh = "curl", 3, []byte{1, 2}
	var s ticketing.Session
	if err := wire.Unmarshal(wire.Marshal(o), &s); err != nil || s != o.Session {
		t.Errorf("%+v, %v, want %+v", s, err, o.Session)
	}
	var back session
	if err := wire.Unmarshal(wire.Marshal(o), &back); err != nil || !reflect.DeepEqual(back, o) {
		t.Errorf("%+v, %v, want %+v", back, err, o)
	}
}
