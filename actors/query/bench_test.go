package query

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
)

const benchPosts = 2000

// traffic makes comments of about 15 words, whose frequencies fall as in a natural language, on a few hot and many quiet posts.
type traffic struct {
	rng   *rand.Rand
	words *rand.Zipf
	posts *rand.Zipf
	ids   []ticketing.ID
	now   time.Time
	n     uint64
}

func newTraffic() *traffic {
	rng := rand.New(rand.NewPCG(1, 2))
	f := &traffic{rng: rng, words: rand.NewZipf(rng, 1.1, 8, 60_000), posts: rand.NewZipf(rng, 1.2, 20, benchPosts-1), now: began}
	for i := range benchPosts {
		f.ids = append(f.ids, ticketing.NewID(ticketing.Slot(i*ticketing.Slots/benchPosts), began, uint64(i)))
	}
	return f
}

func (f *traffic) text() string {
	var b strings.Builder
	for range 8 + f.rng.IntN(15) {
		b.WriteString("Wo")
		b.WriteString(strconv.FormatUint(f.words.Uint64(), 36))
		b.WriteByte(' ')
	}
	return b.String()
}

func (f *traffic) openPosts(b *testing.B, p *Projection) {
	for _, id := range f.ids {
		c := content(1, 1, ticketing.Approved, 1)
		push(b, p, fromPosts, &ticketing.PostCreated{Post: ticketing.Post{ID: id, Author: ann, Title: f.text(), Body: f.text() + f.text(), Content: c}})
	}
}

func (f *traffic) comment() *ticketing.Comment {
	f.n++
	f.now = f.now.Add(100 * time.Microsecond)
	at := f.now.Truncate(time.Millisecond)
	post := f.ids[f.posts.Uint64()]
	return &ticketing.Comment{ID: ticketing.NewID(post.Slot(), at, f.rng.Uint64()), Post: post, Author: bob, Answers: ann.ID, Text: f.text(),
		Content: ticketing.Content{Rev: 1, Moved: 1, Status: ticketing.Pending, CreatedAt: at}}
}

// batches makes batches of lifecycles of one shard: each creates size comments and approves those of the batch before last.
func (f *traffic) batches(n, size int) [][]ticketing.Event {
	var all [][]ticketing.Event
	var waiting [][]*ticketing.Comment
	seq := uint64(0)
	for range n {
		var events []ticketing.Event
		add := func(d ticketing.EventData) {
			seq++
			typ, subject, author, rev := d.Header()
			events = append(events, ticketing.Event{Seq: seq, Type: typ, Subject: subject, Author: author, Rev: rev, Data: d})
		}
		var now []*ticketing.Comment
		for range size {
			c := f.comment()
			now = append(now, c)
			add(&ticketing.CommentCreated{Comment: *c})
		}
		if waiting = append(waiting, now); len(waiting) > 2 {
			for _, c := range waiting[0] {
				add(&ticketing.CommentModerated{ID: c.ID, Post: c.Post, Author: c.Author.ID, Rev: 1, Moved: 2, Status: ticketing.Approved})
			}
			waiting = waiting[1:]
		}
		all = append(all, events)
	}
	return all
}

func apply(b testing.TB, p *Projection, s Source, events []ticketing.Event) {
	from, _ := p.Cursor(s)
	if err := p.Apply(s, from, events, Cursor{1, events[len(events)-1].Seq}); err != nil {
		b.Fatal(err)
	}
}

func benchDB(b *testing.B, fs vfs.FS, dir string) *pebble.DB {
	db, err := pebble.Open(dir, &pebble.Options{FS: fs, DisableWAL: true, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest,
		MemTableSize: 16 << 20, CacheSize: 32 << 20})
	if err != nil {
		b.Fatal(err)
	}
	return db
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIngest counts whole lifecycles, CommentCreated and a later CommentModerated, with flushes and compactions.
func BenchmarkIngest(b *testing.B) {
	for _, size := range []int{16, 128} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			db := benchDB(b, vfs.Default, b.TempDir())
			defer db.Close()
			p, err := Open(db)
			if err != nil {
				b.Fatal(err)
			}
			f := newTraffic()
			f.openPosts(b, p)
			batches := f.batches(b.N/size+1, size)
			runtime.GC()
			b.ResetTimer()
			before := cpu()
			for _, events := range batches {
				apply(b, p, fromComments, events)
			}
			if err := p.Close(); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e3, "cpu-µs/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lifecycles/s")
		})
	}
}

// full makes a projection with many approved comments; QUERY_COMMENTS says how many (100,000 if unset).
func full(b *testing.B) (*Projection, *traffic) {
	n := 100_000
	if s := os.Getenv("QUERY_COMMENTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	f := newTraffic()
	p, err := Open(benchDB(b, vfs.NewMem(), "query"))
	if err != nil {
		b.Fatal(err)
	}
	f.openPosts(b, p)
	seq := uint64(0)
	for range n / 500 {
		var events []ticketing.Event
		for range 500 {
			c := f.comment()
			c.Status, c.ShownRev = ticketing.Approved, 1
			seq++
			events = append(events, ticketing.Event{Seq: seq, Data: &ticketing.CommentCreated{Comment: *c}})
		}
		apply(b, p, fromComments, events)
	}
	if err := p.Close(); err != nil { // waits for the last segment
		b.Fatal(err)
	}
	b.Cleanup(func() { p.db.Close() })
	return p, f
}

func BenchmarkRead(b *testing.B) {
	p, f := full(b)
	ctx := b.Context()
	hot := f.ids[0]
	first, err := p.Thread(ctx, ticketing.Viewer{}, hot, ticketing.Page{})
	if err != nil {
		b.Fatal(err)
	}
	for _, bc := range []struct {
		name string
		ask  func() error
	}{
		{"feed", func() error { _, err := p.Feed(ctx, ticketing.Viewer{}, ticketing.Page{}); return err }},
		{"thread", func() error { _, err := p.Thread(ctx, ticketing.Viewer{}, hot, ticketing.Page{}); return err }},
		{"thread page 2", func() error {
			_, err := p.Thread(ctx, ticketing.Viewer{}, hot, ticketing.Page{After: first.Next})
			return err
		}},
		{"search common", func() error { _, err := p.Search(ctx, "wo1", ticketing.Page{}); return err }},
		{"search two", func() error { _, err := p.Search(ctx, "wo1 wo2s", ticketing.Page{}); return err }},
		{"search rare", func() error { _, err := p.Search(ctx, "wo9xy", ticketing.Page{}); return err }},
		{"search rare two", func() error { _, err := p.Search(ctx, "wo9xy wo8zz", ticketing.Page{}); return err }},
		{"search absent", func() error { _, err := p.Search(ctx, "nothing", ticketing.Page{}); return err }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				if err := bc.ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := Open(p.db); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(p.index.docs)), "reindexed")
	})
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
		}
		var with, without runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&with)
		p.posts, p.counts, p.names, p.recent, p.index, p.window, p.segments, p.change = nil, nil, nil, nil, nil, window{}, nil, nil
		runtime.GC()
		runtime.ReadMemStats(&without)
		b.ReportMetric(float64(with.HeapAlloc-without.HeapAlloc)/1e6, "MB")
	})
}
