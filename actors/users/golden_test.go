package users

import (
	"encoding/hex"
	"testing"
	"time"

	"ticketing"
	"ticketing/runtime/wire"
)

// What is stored, byte by byte: a changed key or type turns it red.
func TestStoredBytes(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	id, user := ticketing.ID{0, 1}, ticketing.ID{0, 2}
	for name, tc := range map[string]struct {
		value any
		want  string
	}{
		"account": {account{User: ticketing.User{ID: user, Email: "e", Name: "n", Roles: 1, CreatedAt: at, Verified: true, Disabled: true, Removed: true}, Hash: "h"},
			"a201a801500002000000000000000000000000000002616503616e0401057818323032332d31312d31345432323a31333a32302e3132335a06f507f508f5026168"},
		"session": {session{Session: ticketing.Session{ID: id, User: user, StartedAt: at, SeenAt: at, ProvenAt: at, Agent: "a", Address: "d", Refreshes: 2}, Refresh: []byte{9}},
			"a9015000010000000000000000000000000000025000020000000000000000000000000000037818323032332d31312d31345432323a31333a32302e3132335a047818323032332d31312d31345432323a31333a32302e3132335a057818323032332d31312d31345432323a31333a32302e3132335a066161076164080218644109"},
		"proof": {proof{Hash: []byte{9}, Expires: at, Email: "e"},
			"a3014109027818323032332d31312d31345432323a31333a32302e3132335a036165"},
	} {
		if got := hex.EncodeToString(wire.Marshal(tc.value)); got != tc.want {
			t.Errorf("%s is stored as\n%s, want\n%s", name, got, tc.want)
		}
	}
}
