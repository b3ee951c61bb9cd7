package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/valyala/fasthttp"
)

// attempt is one try to prove who somebody is with a password.
type attempt struct {
	l   *limits
	key limitKey
}

// attempt asks whether a password may be tried for the account of a normalized e-mail address, known or not. Whoever gets no error says
// afterwards how it went, by ended.
//
// A browser that has signed in to the account before is counted by itself: others who guess at the account's password do not keep its owner
// out. Its cookie only names the count; it opens nothing.
func (g *Gateway) attempt(c *call, email string) (attempt, error) {
	l := g.limits
	a := attempt{l, l.accountKey(auth, email)}
	if id, ok := l.device(c.Request.Header.Cookie(g.deviceCookie()), email); ok {
		own := attempt{l, limitKey{class: auth, kind: 'd', who: id}}
		if own.wait() == 0 {
			a = own
		}
	}
	return a, a.begin(c)
}

// attemptInSession asks whether a session may try the password of its own account once more. Who stole a session must not guess it, and
// sign-ins that fail elsewhere are not held against it.
func (g *Gateway) attemptInSession(c *call) (attempt, error) {
	a := attempt{g.limits, limitKey{class: auth, kind: 's', who: c.who.session}}
	return a, a.begin(c)
}

func (a attempt) begin(c *call) error {
	wait := a.wait()
	if wait == 0 {
		a.reserve()
	}
	return c.limited(quota{"passwords", freeFailures, time.Minute}, wait)
}

// ended counts how the attempt went.
func (a attempt) ended(ok bool) {
	if ok {
		a.succeeded()
	} else {
		a.failed()
	}
}

// wait returns how long the next attempt has to wait.
func (a attempt) wait() time.Duration {
	s := a.l.shard(a.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, time.Duration(s.entries[a.key].at-a.l.now().UnixNano()))
}

// reserve makes attempts at the same time wait for this one, once the free ones are used up: else all of them would get through.
func (a attempt) reserve() {
	a.change(func(e *limitEntry, now int64) {
		if e.count >= freeFailures {
			e.at = now + int64(delay(e.count))
		}
	})
}

// failed counts a wrong password.
func (a attempt) failed() {
	a.change(func(e *limitEntry, now int64) {
		if e.count++; e.count >= freeFailures {
			e.at = now + int64(delay(e.count))
		}
	})
}

func (a attempt) change(f func(e *limitEntry, now int64)) {
	s := a.l.shard(a.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := a.l.now().UnixNano()
	e := s.entries[a.key]
	if e.until <= now {
		e = limitEntry{}
	}
	f(&e, now)
	if e.count > 0 {
		e.until = now + int64(failuresExpire)
		s.put(a.key, e, now)
	}
}

// succeeded forgets the failures.
func (a attempt) succeeded() {
	s := a.l.shard(a.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, a.key)
}

// delay is the time after so many failures: 1, 2, 4 … seconds, at most a quarter of an hour.
func delay(failures uint32) time.Duration {
	return min(lastDelay, firstDelay<<min(failures-freeFailures, 20))
}

// deviceCookie names the cookie that tells a browser which has signed in before.
func (g *Gateway) deviceCookie() string {
	if g.config.Dev {
		return "device"
	}
	return "__Host-device"
}

const deviceLife = 180 * 24 * time.Hour

// rememberDevice marks a browser that has just signed in to an account.
func (g *Gateway) rememberDevice(c *call, email string) {
	var id [16]byte
	rand.Read(id[:]) // never fails
	k := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(k)
	k.SetKey(g.deviceCookie())
	k.SetValue(base64.RawURLEncoding.EncodeToString(append(id[:], g.limits.deviceMAC(id, email)...)))
	k.SetPath("/")
	k.SetHTTPOnly(true)
	k.SetSecure(!g.config.Dev)
	k.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	k.SetMaxAge(int(deviceLife / time.Second))
	c.Response.Header.SetCookie(k)
}

func (l *limits) deviceMAC(id [16]byte, email string) []byte {
	mac := hmac.New(sha256.New, l.secret)
	mac.Write([]byte("device\x00"))
	mac.Write(id[:])
	mac.Write([]byte(email))
	return mac.Sum(nil)
}

// device reads a cookie of rememberDevice, if it is one for the account.
func (l *limits) device(cookie []byte, email string) (id [16]byte, ok bool) {
	var raw [16 + sha256.Size]byte
	if len(cookie) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return id, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], cookie); err != nil {
		return id, false
	}
	copy(id[:], raw[:])
	return id, hmac.Equal(raw[16:], l.deviceMAC(id, email))
}
