package gateway

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"ticketing"
)

// benchGateway is a gateway that no listener serves; handle is called directly.
func benchGateway(b testing.TB) (*Gateway, *memory) {
	b.Helper()
	m := newMemory()
	g, err := New(Config{Dev: true, Hosts: []string{"bench"}}, m.services(), newKeyring(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	return g, m
}

func benchToken(b *testing.B, g *Gateway, m *memory) string {
	b.Helper()
	now := time.Now()
	u := ticketing.User{ID: ticketing.NewID(1, now, 1), Email: "bench@example.org", Name: "Bench", Roles: ticketing.RoleUser}
	token, err := g.tokens.issue(forAPI, ticketing.UserSession{User: u, Session: ticketing.Session{ID: ticketing.NewID(1, now, 2)}})
	if err != nil {
		b.Fatal(err)
	}
	return token
}

// run serves one request through every layer but the network.
func benchRun(b *testing.B, g *Gateway, ctx *fasthttp.RequestCtx, want int) {
	ctx.Response.Reset()
	ctx.ResetUserValues()
	g.handle(ctx)
	if ctx.Response.StatusCode() != want {
		b.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}

func request(b *testing.B, raw string) *fasthttp.RequestCtx {
	b.Helper()
	var ctx fasthttp.RequestCtx
	var req fasthttp.Request
	if err := req.Read(newReader(raw)); err != nil {
		b.Fatal(err)
	}
	ctx.Init(&req, nil, nil)
	return &ctx
}

func BenchmarkFeedPage(b *testing.B) {
	g, m := benchGateway(b)
	author := ticketing.Author{ID: ticketing.NewID(1, time.Now(), 1), Name: "Author"}
	for i := range 50 {
		id := ticketing.NewID(1, time.Now(), uint64(i))
		m.CreatePost(context.Background(), ticketing.CreatePost{Meta: testMeta(time.Now()), ID: id, Author: author, Title: fmt.Sprint("Post ", i), Body: strings.Repeat("Some text. ", 30)})
		m.judge(id, ticketing.Approved, "")
	}
	ctx := request(b, "GET /api/feed?limit=20 HTTP/1.1\r\nHost: bench\r\n\r\n")
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			benchRun(b, g, ctx, 200)
		}
	})
	b.Run("rendered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.version++
			benchRun(b, g, ctx, 200)
		}
	})
}

// fixedComments answers every comment at once: what is left is the gateway's own time.
type fixedComments struct{ ticketing.CommentService }

func (fixedComments) CreateComment(_ context.Context, c ticketing.CreateComment) (ticketing.Created, error) {
	return ticketing.Created{ID: c.ID, CreatedAt: c.At, Status: ticketing.Pending, Position: ticketing.Position{Service: "comments", Shard: 3, Epoch: 2, Seq: 10_000}}, nil
}

func BenchmarkPostComment(b *testing.B) {
	g, m := benchGateway(b)
	g.s.Comments = fixedComments{}
	token := benchToken(b, g, m)
	body := `{"text":"` + strings.Repeat("A comment of the usual length. ", 6) + `"}`
	head := "POST /api/posts/" + ticketing.NewID(1, time.Now(), 9).String() + "/comments HTTP/1.1\r\nHost: bench\r\n" +
		"Content-Type: application/json\r\nAuthorization: Bearer " + token + "\r\n" + fmt.Sprintf("Content-Length: %d\r\n", len(body))
	for name, extra := range map[string]string{"plain": "", "with key": "Idempotency-Key: 0123456789abcdef\r\n"} {
		b.Run(name, func(b *testing.B) {
			ctx := request(b, head+extra+"\r\n"+body)
			b.ReportAllocs()
			for b.Loop() {
				benchRun(b, g, ctx, 201)
			}
		})
	}
}

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }
