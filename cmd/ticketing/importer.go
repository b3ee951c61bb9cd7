package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"ticketing"
	"ticketing/client"
)

// A request carries at most this many rows, and about this many bytes of text.
const (
	importRows  = 500
	importBytes = 1 << 20
)

// sourced is a row and where it came from.
type sourced struct {
	client.Row
	file string
	line int
}

// importFault is a row that was left out.
type importFault struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// tally counts the rows of a type that went in.
type tally struct {
	New      int `json:"new"`
	Existing int `json:"existing"`
}

// importSummary is what an import did.
type importSummary struct {
	Files    int           `json:"files"`
	Users    tally         `json:"users"`
	Posts    tally         `json:"posts"`
	Comments tally         `json:"comments"`
	Bad      int           `json:"bad"`
	Faults   []importFault `json:"faults"`
	Seconds  float64       `json:"seconds"`
}

// done counts the rows that are on the server now.
func (s *importSummary) done() int {
	return s.Users.New + s.Users.Existing + s.Posts.New + s.Posts.Existing + s.Comments.New + s.Comments.Existing
}

// fresh counts the rows that were not there before.
func (s *importSummary) fresh() int { return s.Users.New + s.Posts.New + s.Comments.New }

// importer sends rows in batches, in their order. References by key are replaced by ids as soon as a reply has told them.
type importer struct {
	api     *client.Client
	bar     progress
	ids     map[string]ticketing.ID // by type, a NUL and key
	batch   []sourced
	bytes   int
	summary importSummary
	started time.Time
}

func newImporter(api *client.Client, bar progress) *importer {
	return &importer{api: api, bar: bar, ids: map[string]ticketing.ID{}, started: time.Now(), summary: importSummary{Faults: []importFault{}}}
}

// add takes a row. An error is the server's or the network's, and ends the import; faults of rows are only noted.
func (im *importer) add(ctx context.Context, r sourced) error {
	im.batch = append(im.batch, r)
	im.bytes += len(r.Text) + len(r.Body)
	if len(im.batch) < importRows && im.bytes < importBytes {
		return nil
	}
	return im.flush(ctx)
}

// fault notes a row that cannot go in.
func (im *importer) fault(file string, line int, message string) {
	im.summary.Bad++
	im.summary.Faults = append(im.summary.Faults, importFault{file, line, message})
}

func (im *importer) flush(ctx context.Context) error {
	if len(im.batch) == 0 {
		return nil
	}
	rows := make([]client.Row, len(im.batch))
	for i := range im.batch {
		rows[i] = im.resolve(im.batch[i].Row)
	}
	results, err := im.api.Import(ctx, rows)
	if err != nil {
		return err
	}
	for i, res := range results {
		im.note(im.batch[i], res)
	}
	im.bar.add(len(im.batch))
	im.batch, im.bytes = im.batch[:0], 0
	return nil
}

// resolve replaces the keys of earlier requests by ids. Keys of this request stay; the server knows them.
func (im *importer) resolve(r client.Row) client.Row {
	swap := func(typ string, key *string, id *ticketing.ID) {
		if known, ok := im.ids[typ+"\x00"+*key]; ok && *key != "" {
			*key, *id = "", known
		}
	}
	swap("user", &r.Author, &r.AuthorID)
	swap("post", &r.Post, &r.PostID)
	swap("comment", &r.Parent, &r.ParentID)
	return r
}

func (im *importer) note(r sourced, res client.RowResult) {
	if res.Error != "" {
		im.fault(r.file, r.line, res.Error)
		return
	}
	im.ids[r.Type+"\x00"+r.Key] = res.ID
	t := &im.summary.Comments
	switch r.Type {
	case "user":
		t = &im.summary.Users
	case "post":
		t = &im.summary.Posts
	}
	if res.Created {
		t.New++
	} else {
		t.Existing++
	}
}

// finish sends the rest and returns what was done so far, also when it fails.
func (im *importer) finish(ctx context.Context) (importSummary, error) {
	err := im.flush(ctx)
	im.bar.done()
	im.summary.Seconds = time.Since(im.started).Seconds()
	// A batch's faults come after those that its reading found.
	slices.SortStableFunc(im.summary.Faults, func(a, b importFault) int {
		if a.File != b.File {
			return 0 // files are read one after another
		}
		return cmp.Compare(a.Line, b.Line)
	})
	return im.summary, err
}

// report prints what an import did. It fails if nothing could be done.
func (a *app) report(s importSummary, asJSON bool) error {
	if asJSON {
		if err := a.json(s); err != nil {
			return err
		}
	} else {
		for _, f := range s.Faults {
			fmt.Fprintf(a.err, "%s:%d: %s\n", f.File, f.Line, printable(f.Error))
		}
		rate := float64(s.done()) / max(s.Seconds, 0.001)
		fmt.Fprintf(a.out, "%d new: %d users, %d posts, %d comments; %d were there already; %d bad rows; %.1f s, %.0f rows/s\n",
			s.fresh(), s.Users.New, s.Posts.New, s.Comments.New, s.done()-s.fresh(), s.Bad, s.Seconds, rate)
	}
	if s.done() == 0 && s.Bad > 0 {
		return fmt.Errorf("nothing could be imported: %d bad rows", s.Bad)
	}
	return nil
}
