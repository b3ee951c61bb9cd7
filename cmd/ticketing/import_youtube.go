package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
	"ticketing/internal/youtube"
)

func (a *app) importYouTube() *cobra.Command {
	return a.importCommand("youtube FILE…", "Import comment files of the YouTube Spam Collection",
		`Every file is a video, and becomes a post by the account "YouTube import"; authors become accounts without a password. Dates are kept; a
comment without one takes the time of the dated comment before it in the file. Importing a file again changes nothing.`,
		func(ctx context.Context, api *client.Client, files []string) (importSummary, error) {
			videos, err := a.readVideos(files)
			if err != nil {
				return importSummary{}, err
			}
			im, err := a.importVideos(ctx, api, videos)
			s, ferr := im.finish(ctx)
			if err == nil {
				err = ferr
			}
			return s, err
		})
}

// video is a file of the collection.
type video struct {
	file, title string
	rows        []youtube.Row
	faults      []youtube.Fault
	repeated    int // rows left out because their COMMENT_ID was there before
}

func (a *app) readVideos(files []string) ([]video, error) {
	videos := make([]video, len(files))
	seen := map[string]bool{} // of all files: ids are the site's
	for i, name := range files {
		v := video{file: name, title: videoTitle(name)}
		err := a.eachFile(name, func(r io.Reader) (err error) {
			v.rows, v.faults, err = youtube.Read(r)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, cause(err))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		v.unique(seen)
		videos[i] = v
	}
	return videos, nil
}

// unique drops the rows that repeat an id. The second one may have another derived time, and would be another item.
func (v *video) unique(seen map[string]bool) {
	all := len(v.rows)
	v.rows = slices.DeleteFunc(v.rows, func(r youtube.Row) bool {
		again := seen[r.ID]
		seen[r.ID] = true
		return again
	})
	v.repeated = all - len(v.rows)
}

var videoNumber = regexp.MustCompile(`^(?i:youtube)\d*[-_ ]+`)

// videoTitle makes "Psy" of "examples/data/Youtube01-Psy.csv".
func videoTitle(file string) string {
	name := filepath.Base(file)
	name = youtube.Name(strings.TrimSuffix(name, filepath.Ext(name)))
	if title := videoNumber.ReplaceAllString(name, ""); title != "" {
		return title
	}
	return name
}

// importerKey is the account that writes the videos' posts.
const importerKey = "import:youtube"

// importVideos hands all rows to a new importer. The caller finishes it.
func (a *app) importVideos(ctx context.Context, api *client.Client, videos []video) (*importer, error) {
	total := 1
	for _, v := range videos {
		total += len(v.rows) + len(authors(v.rows)) + 1
	}
	im := newImporter(api, a.progress(int64(total), "importing", "rows"))
	if err := im.add(ctx, sourced{client.Row{Type: "user", Key: importerKey, Name: "YouTube import"}, "", 0}); err != nil {
		return im, err
	}
	for _, v := range videos {
		if err := im.video(ctx, v); err != nil {
			return im, err
		}
		im.summary.Files++
	}
	return im, nil
}

func (im *importer) video(ctx context.Context, v video) error {
	for _, f := range v.faults {
		im.fault(v.file, f.Line, f.Err.Error())
	}
	if len(v.rows) == 0 {
		return nil
	}
	im.summary.Comments.Existing += v.repeated
	rows := authors(v.rows)
	post := client.Row{Type: "post", Key: youtube.KeyPrefix + "video/" + v.title, Author: importerKey, Title: v.title,
		Body: "Comments on the video " + v.title + " on YouTube.", CreatedAt: earliest(v.rows)}
	rows = append(rows, sourced{post, "", 1})
	for _, r := range v.rows {
		rows = append(rows, sourced{client.Row{Type: "comment", Key: commentKey(r), Post: post.Key, Author: authorKey(r),
			Text: r.Text, CreatedAt: r.At}, "", r.Line})
	}
	for _, r := range rows {
		r.file = v.file
		if err := im.add(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// authors returns the accounts that comments need, in the order in which they first speak.
func authors(rows []youtube.Row) (users []sourced) {
	seen := map[string]bool{}
	for _, r := range rows {
		if key := authorKey(r); !seen[key] {
			seen[key] = true
			users = append(users, sourced{client.Row{Type: "user", Key: key, Name: r.Name}, "", r.Line})
		}
	}
	return users
}

func commentKey(r youtube.Row) string { return youtube.KeyPrefix + r.ID }

// authorKey names an author by the whole name as found: cleaning must not make two people one. Those without a name are one account.
func authorKey(r youtube.Row) string {
	name := r.Author
	switch {
	case strings.TrimSpace(name) == "":
		name = youtube.NoName
	case len(name) > 150: // keys have at most 200 bytes
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return youtube.KeyPrefix + name
}

func earliest(rows []youtube.Row) time.Time {
	first := rows[0].At
	for _, r := range rows {
		if r.At.Before(first) {
			first = r.At
		}
	}
	return first
}

// commentID returns the id that the server gave a row.
func (im *importer) commentID(r youtube.Row) (ticketing.ID, bool) {
	id, ok := im.ids["comment\x00"+commentKey(r)]
	return id, ok
}

// comments counts the comments that are on the server.
func (im *importer) comments() (n int) {
	for key := range im.ids {
		if strings.HasPrefix(key, "comment\x00") {
			n++
		}
	}
	return n
}
