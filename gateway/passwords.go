package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"ticketing"
)

// argon2id's parameters, OWASP's minimum: 19 MiB, two passes, one lane; about 29 ms of a core.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonSalt   = 16
	argonKey    = 32
)

//go:embed common_passwords.txt
var commonPasswords string

// passwords hashes and checks passwords, a few at a time: each one takes memory and a whole core.
type passwords struct {
	slots   chan struct{}
	waiting atomic.Int32
	queue   int32
	dummy   string // the hash of nobody's password: unknown users cost as much as known ones
	common  map[string]bool
	least   int          // characters of a new password
	hashed  atomic.Int64 // hashes computed so far
}

func newPasswords() *passwords {
	n := runtime.GOMAXPROCS(0)
	p := &passwords{slots: make(chan struct{}, n), queue: int32(32 * n), common: make(map[string]bool), least: ticketing.MinPassword}
	for line := range strings.Lines(commonPasswords) {
		if w := strings.TrimSpace(line); w != "" && w[0] != '#' {
			p.common[w] = true
		}
	}
	p.dummy = HashPassword(rand.Text())
	return p
}

// CheckPassword reports what is wrong with a password for a new account, as Invalid. It has least characters or more.
func CheckPassword(password, email string, least int) error {
	p := newPasswords()
	p.least = least
	return p.check("password", password, email)
}

// check reports what is wrong with a new password, as Invalid about the named field. It is taken as it is: nothing is
// trimmed or cut off.
func (p *passwords) check(field, password, email string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case n < p.least || n > ticketing.MaxPassword || !utf8.ValidString(password):
		return ticketing.InvalidField(field, "A password has %d to %d characters.", p.least, ticketing.MaxPassword)
	case p.isCommon(password), email != "" && strings.EqualFold(password, email):
		return ticketing.InvalidField(field, "This password is one of the first that anybody would try. Choose another.")
	}
	return nil
}

// isCommon compares with the block-list, also without digits and signs at the end, and refuses runs of one character
// and of neighbours.
func (p *passwords) isCommon(password string) bool {
	low := strings.ToLower(password)
	if p.common[low] {
		return true
	}
	if stem := strings.TrimRight(low, "0123456789!?.,*#$-_ "); len(stem) >= 4 && p.common[stem] {
		return true
	}
	same, up, down := true, true, true
	for i := 1; i < len(low); i++ {
		same = same && low[i] == low[i-1]
		up = up && (low[i] == low[i-1]+1 || low[i] == '0' && low[i-1] == '9')
		down = down && low[i]+1 == low[i-1]
	}
	return same || up || down
}

// acquire waits for a slot. When too many wait already, it is Unavailable at once.
func (p *passwords) acquire(ctx context.Context) error {
	busy := &ticketing.Error{Kind: ticketing.Unavailable, Msg: "Too many people are signing in. Try again.", RetryAfter: time.Second}
	if p.waiting.Add(1) > p.queue {
		p.waiting.Add(-1)
		return busy
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return busy
	}
}

// hash returns the PHC string of a password.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer func() { <-p.slots }()
	p.hashed.Add(1)
	return HashPassword(password), nil
}

// HashPassword returns the PHC string of a password, for accounts that are made without the gateway, such as the first
// operator's. It takes about 30 ms and 19 MiB.
func HashPassword(password string) string {
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// verify reports whether the password has the hash. It computes exactly one hash in every case: against an empty or
// unreadable one the dummy's, and then the answer is no.
func (p *passwords) verify(ctx context.Context, hash, password string) (bool, error) {
	h, ok := parsePHC(hash)
	if !ok {
		h, _ = parsePHC(p.dummy)
	}
	if err := p.acquire(ctx); err != nil {
		return false, err
	}
	defer func() { <-p.slots }()
	p.hashed.Add(1)
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.lanes, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1 && ok, nil
}

type phc struct {
	memory, time uint32
	lanes        uint8
	salt, key    []byte
}

// parsePHC reads a PHC string of argon2id with parameters that we would compute.
func parsePHC(s string) (h phc, ok bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, false
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.lanes); err != nil || n != 3 {
		return h, false
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	ok = err1 == nil && err2 == nil && len(h.salt) >= 8 && len(h.key) >= 16 && len(h.key) <= 64 &&
		h.memory >= 8 && h.memory <= 1<<20 && h.time >= 1 && h.time <= 100 && h.lanes >= 1
	return h, ok
}
