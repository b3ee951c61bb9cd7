package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"ticketing"
)

const (
	samplers     = 8
	samplePause  = 100 * time.Millisecond // between two samples of a sampler
	pollEvery    = 2 * time.Millisecond
	perThread    = 20 // comments of a sampler's thread: its page stays small
	sampleExpiry = 30 * time.Second
)

// sampler is an author who looks when comments become visible.
type sampler struct {
	w      *world
	c      *conn
	auth   string
	bodies int // the next text
	post   ticketing.ID
	used   int
	number int
	rec    *recorder
	posted int64
}

// sample runs all samplers until time is up, and returns how many comments they wrote.
func (w *world) sample(ctx context.Context, until time.Time, rec *recorder) (posted int64) {
	var wg sync.WaitGroup
	all := make([]*sampler, samplers)
	for i := range all {
		a := w.authors[i%len(w.authors)]
		s := &sampler{w: w, c: newConn(w.host(i)), auth: "\r\nHost: " + w.host(i) + "\r\nAuthorization: Bearer " + a.api.Token(),
			bodies: i * len(w.bodies) / samplers, used: perThread, number: i, rec: rec}
		all[i] = s
		wg.Go(func() {
			defer s.c.close()
			s.run(ctx, until)
		})
	}
	wg.Wait()
	for _, s := range all {
		posted += s.posted
	}
	return posted
}

func (s *sampler) run(ctx context.Context, until time.Time) {
	tick := time.NewTicker(samplePause)
	defer tick.Stop()
	for time.Now().Before(until) && ctx.Err() == nil {
		if err := s.one(); err != nil {
			s.rec.fail(0, err)
		}
		<-tick.C
	}
}

// one writes a comment and waits until its thread shows it decided.
func (s *sampler) one() error {
	if s.used == perThread {
		if err := s.thread(); err != nil {
			return err
		}
	}
	body := s.w.bodies[s.bodies%len(s.w.bodies)]
	s.bodies++
	id, err := s.write("POST /api/posts/"+s.post.String()+"/comments HTTP/1.1", body)
	if err != nil {
		return err
	}
	s.posted++
	s.used++
	begin := time.Now()
	page := []byte("GET /api/feed/" + s.post.String() + "?limit=100 HTTP/1.1" + s.auth + "\r\n\r\n")
	for time.Since(begin) < sampleExpiry {
		status, body, err := s.c.do(page)
		if err != nil {
			return err
		}
		if status == 200 && shows(body, id) {
			s.rec.record(s.number, time.Since(begin))
			return nil
		}
		time.Sleep(pollEvery)
	}
	return fmt.Errorf("a comment is not visible after %v", sampleExpiry)
}

// thread writes a post of the sampler's own.
func (s *sampler) thread() (err error) {
	body := []byte(`{"title":"A sampler's thread","body":"It measures how long comments take."}`)
	s.post, err = s.write("POST /api/posts HTTP/1.1", body)
	s.used = 0
	return err
}

// write sends a post or a comment and returns its id.
func (s *sampler) write(line string, body []byte) (ticketing.ID, error) {
	b := []byte(line + s.auth + "\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
	status, reply, err := s.c.do(append(b, body...))
	if err != nil {
		return ticketing.ID{}, err
	}
	var item struct{ ID ticketing.ID }
	if status != 201 {
		return item.ID, fmt.Errorf("status %d", status)
	}
	return item.ID, json.Unmarshal(reply, &item)
}

// shows reports whether a thread's page holds the comment, and not as pending. Quotes within texts are escaped, so the marks cannot be
// part of one.
func shows(page []byte, id ticketing.ID) bool {
	_, rest, ok := bytes.Cut(page, []byte(`{"id":"`+id.String()+`"`))
	if !ok {
		return false
	}
	_, rest, ok = bytes.Cut(rest, []byte(`,"status":"`))
	return ok && !bytes.HasPrefix(rest, []byte("pending"))
}
