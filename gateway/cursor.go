package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"ticketing"
)

const (
	cursorMAC = 12 // bytes
	maxCursor = 512
)

// cursors seals query's places in lists for the trip through the client: base64url of a truncated HMAC-SHA-256 and the
// place itself. The HMAC covers the list, its filter and the viewer, so that a cursor fits nothing else.
type cursors struct{ key []byte }

func newCursors(secret []byte) *cursors {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("ticketing cursor 1"))
	return &cursors{mac.Sum(nil)}
}

func (k *cursors) mac(scope string, v ticketing.Viewer, after []byte) []byte {
	mac := hmac.New(sha256.New, k.key)
	mac.Write([]byte(scope))
	mac.Write([]byte{0})
	mac.Write(v.ID[:])
	if v.Moderates {
		mac.Write([]byte{1})
	} else {
		mac.Write([]byte{0})
	}
	mac.Write(after)
	return mac.Sum(nil)[:cursorMAC]
}

func (k *cursors) seal(scope string, v ticketing.Viewer, after string) string {
	return base64.RawURLEncoding.EncodeToString(append(k.mac(scope, v, []byte(after)), after...))
}

// open returns the place that seal was given, or Invalid.
func (k *cursors) open(scope string, v ticketing.Viewer, cursor string) (string, error) {
	fault := ticketing.InvalidField("cursor", "This cursor is not one of this list's.")
	if len(cursor) > maxCursor {
		return "", fault
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) <= cursorMAC || !hmac.Equal(raw[:cursorMAC], k.mac(scope, v, raw[cursorMAC:])) {
		return "", fault
	}
	return string(raw[cursorMAC:]), nil
}
