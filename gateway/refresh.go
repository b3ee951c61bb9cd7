package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"log/slog"
	"time"

	"ticketing"
)

// A refresh token is base64url of: user (16 bytes), session (16), number (8), HMAC-SHA-256 of these (32). Nobody can guess
// one. It follows from the session and its number, so that a repeated request gets the same token again although it is
// stored nowhere: the session's record holds its SHA-256, which tells the token that is good from those before it.
const (
	refreshBody = 16 + 16 + 8
	refreshSize = refreshBody + sha256.Size
)

// refreshKey makes refresh tokens and recognizes them.
type refreshKey struct{ key []byte }

func newRefreshKey(secret []byte) *refreshKey {
	return &refreshKey{derive(secret, "ticketing refresh 1")}
}

// refreshToken is a genuine token; whether it is still good is the session's record to say.
type refreshToken struct {
	user, session ticketing.ID
	number        uint64
}

func (k *refreshKey) bytes(t refreshToken) []byte {
	b := make([]byte, 0, refreshSize)
	b = append(append(b, t.user[:]...), t.session[:]...)
	b = binary.BigEndian.AppendUint64(b, t.number)
	mac := hmac.New(sha256.New, k.key)
	mac.Write(b)
	return mac.Sum(b)
}

// text is what the client gets, hash what the session's record holds.
func (k *refreshKey) text(t refreshToken) string {
	return base64.RawURLEncoding.EncodeToString(k.bytes(t))
}

func (k *refreshKey) hash(t refreshToken) []byte {
	sum := sha256.Sum256(k.bytes(t))
	return sum[:]
}

// open reads a token's text. Only what this cluster has made is a token.
func (k *refreshKey) open(text string) (t refreshToken, ok bool) {
	if base64.RawURLEncoding.DecodedLen(len(text)) != refreshSize {
		return t, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != refreshSize {
		return t, false
	}
	copy(t.user[:], raw)
	copy(t.session[:], raw[16:])
	t.number = binary.BigEndian.Uint64(raw[32:])
	return t, hmac.Equal(raw, k.bytes(t))
}

func (t refreshToken) next() refreshToken { t.number++; return t }

// tokenView is the reply with a program's credentials.
type tokenView struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken"`
	ExpiresIn    int    `json:"expiresIn"` // seconds, of the access token
}

var errRefresh = ticketing.Errorf(ticketing.Unauthorized, "This refresh token is not good. Sign in again.")

// token gives a program its credentials, for a password or for the refresh token that it got last.
func (g *Gateway) token(c *call) error {
	var in struct {
		credentials  `json:",inline"`
		RefreshToken string `json:"refreshToken"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	var view tokenView
	var err error
	switch {
	case in.RefreshToken == "":
		view, err = g.admitProgram(c, in.credentials)
	case in.Email != "" || in.Password != "":
		err = ticketing.InvalidField("refreshToken", "Send a refresh token, or an e-mail address and a password.")
	default:
		view, err = g.continueProgram(c, in.RefreshToken)
	}
	if err != nil {
		return err
	}
	return c.reply(200, &view)
}

// admitProgram opens a session for a program whose user proves who they are.
func (g *Gateway) admitProgram(c *call, in credentials) (tokenView, error) {
	known, err := g.prove(c, in)
	if err != nil {
		return tokenView{}, err
	}
	start := g.starting(c, known)
	first := refreshToken{start.User, start.ID, 1}
	start.Refresh = g.refresh.hash(first)
	us, err := g.s.Users.StartSession(c.context(), start)
	if err != nil {
		return tokenView{}, ticketing.Wrap("gateway.admitProgram", err)
	}
	g.audit(c, slog.LevelInfo, "signed in", us.User.ID, sessionAttr(us.Session.ID))
	return g.programView(us, first)
}

func (g *Gateway) programView(us ticketing.UserSession, t refreshToken) (tokenView, error) {
	access, err := g.tokens.issue(forAPI, us)
	return tokenView{access, g.refresh.text(t), int(tokenLife / time.Second)}, err
}

// continueProgram trades a refresh token for the next one. A genuine token that is not the present one has been used
// before: then two hold a copy, and the session ends for both. A lost reply is no excuse, except that a request repeated
// under its Idempotency-Key gets its answer again while nobody has used what it got.
func (g *Gateway) continueProgram(c *call, text string) (tokenView, error) {
	const op = "gateway.continueProgram"
	t, ok := g.refresh.open(text)
	if !ok {
		g.audit(c, slog.LevelWarn, "refresh token unknown", ticketing.ID{})
		return tokenView{}, errRefresh
	}
	meta, err := g.secretMeta(c, t.session.String())
	if err != nil {
		return tokenView{}, err
	}
	r, err := g.s.Users.RefreshSession(c.context(), ticketing.RefreshSession{
		Meta: meta, User: t.user, Session: t.session, Old: g.refresh.hash(t), New: g.refresh.hash(t.next()),
	})
	us := r.UserSession
	if err == nil && !r.Reused && !meta.Fresh { // the reply may be one that was remembered: what is true now?
		us, err = g.s.Users.Session(c.context(), t.user, t.session)
	}
	switch {
	case ticketing.KindOf(err) == ticketing.Unauthorized:
		return tokenView{}, errRefresh
	case err != nil:
		return tokenView{}, ticketing.Wrap(op, err)
	case !r.Reused && us.Session.Refreshes == t.number+1:
		return g.programView(us, t.next())
	}
	g.audit(c, slog.LevelWarn, "refresh token reused", t.user, sessionAttr(t.session))
	if err := g.end(c, &identity{user: t.user, session: t.session}); err != nil {
		return tokenView{}, err
	}
	return tokenView{}, errRefresh
}
