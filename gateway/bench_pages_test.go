package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// BenchmarkPages is the server's time for the two pages that are asked for most, compression included.
func BenchmarkPages(b *testing.B) {
	g, m := benchGateway(b)
	author := ticketing.Author{ID: ticketing.NewID(1, time.Now(), 1), Name: "Author"}
	var post ticketing.ID
	for i := range 50 {
		post = ticketing.NewID(1, time.Now(), uint64(i))
		m.CreatePost(context.Background(), ticketing.CreatePost{Meta: testMeta(time.Now()), ID: post, Author: author, Title: fmt.Sprint("Post ", i), Body: strings.Repeat("Some text. ", 30)})
		m.judge(post, ticketing.Approved, "")
	}
	for i := range 50 {
		id := ticketing.NewID(1, time.Now(), uint64(1000+i))
		m.CreateComment(context.Background(), ticketing.CreateComment{Meta: testMeta(time.Now()), ID: id, Post: post, Author: author, Text: strings.Repeat("Some words of a comment. ", 8)})
		m.judge(id, ticketing.Approved, "")
	}
	for name, path := range map[string]string{"feed": "/", "thread": "/posts/" + post.String()} {
		ctx := request(b, "GET "+path+" HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n\r\n")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchRun(b, g, ctx, 200)
			}
		})
	}
}
