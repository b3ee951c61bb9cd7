package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"ticketing"
	"ticketing/internal/locale"
)

const (
	maxImportRows  = 1_000
	importParallel = 64
)

// importRow is a line of a bulk import: a user, a post or a comment. Keys are the importer's own names. A reference is a
// key of a row of the same request, or an id that an earlier reply gave.
type importRow struct {
	Type      string       `json:"type"`
	Key       string       `json:"key"`
	Name      string       `json:"name"`
	Author    string       `json:"author"`
	AuthorID  ticketing.ID `json:"authorId"`
	Title     string       `json:"title"`
	Body      string       `json:"body"`
	Post      string       `json:"post"`
	PostID    ticketing.ID `json:"postId"`
	Parent    string       `json:"parent"`
	ParentID  ticketing.ID `json:"parentId"`
	Text      string       `json:"text"`
	Locale    string       `json:"locale"`
	CreatedAt time.Time    `json:"createdAt"`
}

// importResult answers a row. A row that met itself has an id and is not created.
type importResult struct {
	Line    int          `json:"line"`
	ID      ticketing.ID `json:"id,omitzero"`
	Created bool         `json:"created"`
	Error   string       `json:"error,omitempty"`
}

// importer runs one request. The maps are written between the steps and read within them.
type importer struct {
	g       *Gateway
	ctx     context.Context
	at      time.Time
	rows    []importRow
	results []importResult
	ids     map[string]ticketing.ID // by type, a NUL, and key
	names   sync.Map                // ticketing.ID → string: of authors
}

// importRows takes NDJSON and makes what is not there yet. IDs follow from keys, so that the same rows again change
// nothing. Faults of a row are in its result; the others go ahead.
func (g *Gateway) importRows(c *call) error {
	body, err := c.body("application/x-ndjson", "application/ndjson")
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return ticketing.Errorf(ticketing.BadRequest, "The body is empty: send one JSON object a line.")
	}
	im := &importer{g: g, ctx: c.context(), at: c.at, ids: make(map[string]ticketing.ID)}
	if err := im.parse(body); err != nil {
		return err
	}
	im.step(im.of("user"), im.user)
	im.step(im.of("post"), im.post)
	im.comments()
	out := struct {
		Items   []importResult `json:"items"`
		Created int            `json:"created"`
		Failed  int            `json:"failed"`
	}{Items: orEmpty(im.results)}
	for _, r := range im.results {
		if r.Error != "" {
			out.Failed++
		} else if r.Created {
			out.Created++
		}
	}
	return c.reply(200, &out)
}

// parse decodes the lines; empty ones are skipped, but counted.
func (im *importer) parse(body []byte) error {
	line := 0
	for l := range bytes.Lines(body) {
		line++
		l = bytes.TrimSpace(l)
		if len(l) == 0 {
			continue
		}
		if len(im.rows) == maxImportRows {
			return ticketing.Errorf(ticketing.Invalid, "An import has at most %d rows. Send the rest with another request.", maxImportRows)
		}
		var r importRow
		res := importResult{Line: line}
		if err := decodeJSON(l, &r); err != nil {
			res.Error = sentence(err)
		} else if err := r.check(im.at); err != nil {
			res.Error = sentence(err)
		}
		im.rows, im.results = append(im.rows, r), append(im.results, res)
	}
	return nil
}

func (r *importRow) check(now time.Time) (err error) {
	if r.Key == "" || len(r.Key) > ticketing.MaxImportKey {
		return ticketing.InvalidField("key", "A key has 1 to %d bytes.", ticketing.MaxImportKey)
	}
	if !r.CreatedAt.IsZero() && (r.CreatedAt.Year() < 1970 || r.CreatedAt.After(now)) {
		return ticketing.InvalidField("createdAt", "The time is before 1970 or has not come yet.")
	}
	r.CreatedAt = r.CreatedAt.UTC().Truncate(time.Millisecond)
	if r.Locale, err = locale.Parse(r.Locale); err != nil {
		return err
	}
	switch r.Type {
	case "user":
		return ticketing.CheckName(r.Name)
	case "post":
		if r.CreatedAt.IsZero() {
			return ticketing.InvalidField("createdAt", "A post needs its time: its id follows from it.")
		}
		return ticketing.CheckPost(r.Title, r.Body)
	case "comment":
		return ticketing.CheckComment(r.Text)
	}
	return ticketing.InvalidField("type", "The types are user, post and comment.")
}

// sentence is an error for people, with its fields.
func sentence(err error) string {
	var e *ticketing.Error
	if !errors.As(err, &e) || e.Kind == ticketing.Internal {
		return "Something went wrong on our side."
	}
	var parts []string
	for _, f := range e.Fields {
		parts = append(parts, strings.TrimPrefix(f.Field+": "+f.Message, ": "))
	}
	if len(parts) > 0 {
		return strings.Join(parts, " ")
	}
	if e.Msg == "" {
		return e.Kind.String()
	}
	return e.Msg
}

// of returns the good rows of a type.
func (im *importer) of(typ string) []int {
	var rows []int
	for i := range im.rows {
		if im.rows[i].Type == typ && im.results[i].Error == "" {
			rows = append(rows, i)
		}
	}
	return rows
}

// step runs rows side by side, and then makes their keys known.
func (im *importer) step(rows []int, do func(r *importRow) (ticketing.ID, bool, error)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, importParallel)
	for _, i := range rows {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			im.results[i].ID, im.results[i].Created, im.results[i].Error = im.try(&im.rows[i], do)
		})
	}
	wg.Wait()
	for _, i := range rows {
		if im.results[i].Error == "" {
			im.ids[im.rows[i].Type+"\x00"+im.rows[i].Key] = im.results[i].ID
		}
	}
}

// try turns errors, and panics, into the row's sentence.
func (im *importer) try(r *importRow, do func(r *importRow) (ticketing.ID, bool, error)) (id ticketing.ID, created bool, fault string) {
	defer func() {
		if p := recover(); p != nil {
			im.g.log.Error("panic in an import", "panic", fmt.Sprint(p))
			im.g.metrics.panics.Inc()
			id, created, fault = ticketing.ID{}, false, sentence(nil)
		}
	}()
	id, created, err := do(r)
	if err != nil {
		return ticketing.ID{}, false, sentence(err)
	}
	return id, created, ""
}

// comments runs in waves: a comment follows its parent.
func (im *importer) comments() {
	rest := im.of("comment")
	waiting := make(map[string]bool) // keys of rows that have not run
	for _, i := range rest {
		waiting[im.rows[i].Key] = true
	}
	for len(rest) > 0 {
		var wave, later []int
		for _, i := range rest {
			if p := im.rows[i].Parent; p != "" && p != im.rows[i].Key && waiting[p] {
				later = append(later, i)
			} else {
				wave = append(wave, i)
			}
		}
		if len(wave) == 0 { // parents in a circle
			for _, i := range later {
				im.results[i].Error = "parent: The parents go round in a circle."
			}
			return
		}
		im.step(wave, im.comment)
		for _, i := range wave {
			delete(waiting, im.rows[i].Key)
		}
		rest = later
	}
}

func (im *importer) meta() ticketing.Meta {
	return ticketing.Meta{ID: ticketing.NewCommandID(im.at, entropy()), At: im.at, Fresh: true}
}

// ref resolves a reference: an id as it is, a key among the rows of this request.
func (im *importer) ref(typ, field, key string, id ticketing.ID) (ticketing.ID, error) {
	if !id.IsZero() {
		return id, nil
	}
	id, ok := im.ids[typ+"\x00"+key]
	if !ok {
		return id, ticketing.InvalidField(field, "No %s of this request has that key; name earlier ones by id.", typ)
	}
	return id, nil
}

// author resolves a row's author, with the name that the account has.
func (im *importer) author(r *importRow) (ticketing.Author, error) {
	id, err := im.ref("user", "author", r.Author, r.AuthorID)
	if err != nil {
		return ticketing.Author{}, err
	}
	if name, ok := im.names.Load(id); ok {
		return ticketing.Author{ID: id, Name: name.(string)}, nil
	}
	u, err := im.g.s.Users.User(im.ctx, id)
	if err != nil {
		return ticketing.Author{}, err
	}
	im.names.Store(id, u.Name)
	return ticketing.Author{ID: id, Name: u.Name}, nil
}

// user makes an account that cannot sign in, under an address that follows from the key.
func (im *importer) user(r *importRow) (ticketing.ID, bool, error) {
	sum := sha256.Sum256([]byte("import\x00" + r.Key))
	email := hex.EncodeToString(sum[:16]) + "@import.invalid"
	id, err := im.g.s.Users.UserID(im.ctx, email, im.at)
	if err != nil {
		return id, false, err
	}
	u, err := im.g.s.Users.SignUp(im.ctx, ticketing.SignUp{
		Meta: im.meta(), ID: id, Email: email, Name: r.Name, Roles: ticketing.RoleUser, Existing: true,
	})
	if err != nil {
		return id, false, err
	}
	im.names.Store(u.ID, u.Name)
	return u.ID, u.ID == id, nil
}

func (im *importer) post(r *importRow) (ticketing.ID, bool, error) {
	author, err := im.author(r)
	if err != nil {
		return ticketing.ID{}, false, err
	}
	id := ticketing.NewID(ticketing.PostSlot(author.ID, r.Key, nil), r.CreatedAt, ticketing.ImportEntropy(r.Key))
	made, err := im.g.s.Posts.CreatePost(im.ctx, ticketing.CreatePost{
		Meta: im.meta(), ID: id, Author: author, Title: r.Title, Body: r.Body, Dated: r.CreatedAt, Import: true, Locale: r.Locale,
	})
	return made.ID, !made.Existed, err
}

// comment without a time takes its post's.
func (im *importer) comment(r *importRow) (ticketing.ID, bool, error) {
	author, err := im.author(r)
	if err != nil {
		return ticketing.ID{}, false, err
	}
	post, err := im.ref("post", "post", r.Post, r.PostID)
	if err != nil {
		return ticketing.ID{}, false, err
	}
	var parent ticketing.ID
	if r.Parent != "" || !r.ParentID.IsZero() {
		if parent, err = im.ref("comment", "parent", r.Parent, r.ParentID); err != nil {
			return ticketing.ID{}, false, err
		}
	}
	at := r.CreatedAt
	if at.IsZero() {
		at = post.Time()
	}
	made, err := im.g.sendComment(im.ctx, ticketing.CreateComment{
		Meta: im.meta(), ID: ticketing.NewID(post.Slot(), at, ticketing.ImportEntropy(r.Key)),
		Post: post, Parent: parent, Author: author, Text: r.Text, Dated: at, Import: true, Locale: r.Locale,
	})
	return made.ID, !made.Existed, err
}
