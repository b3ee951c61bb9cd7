package gateway

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ticketing"
)

// The encoders of the hot routes append to a buffer: no reflection, one allocation a reply.

func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // invalid UTF-8 is replaced; nothing stored holds any
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendID(b []byte, id ticketing.ID) []byte {
	b = append(b, '"')
	b = id.Append(b)
	return append(b, '"')
}

func appendAuthor(b []byte, a ticketing.Author) []byte {
	b = append(b, `"author":{"id":`...)
	b = appendID(b, a.ID)
	b = append(b, `,"name":`...)
	b = appendString(b, a.Name)
	return append(b, '}')
}

func appendContent(b []byte, c *ticketing.Content) []byte {
	b = append(b, `,"status":"`...)
	b = append(b, c.Status.String()...)
	b = append(b, '"')
	if c.Reason != "" {
		b = append(b, `,"reason":`...)
		b = appendString(b, c.Reason)
	}
	if c.Locale != "" {
		b = append(b, `,"locale":`...)
		b = appendString(b, c.Locale)
	}
	b = append(b, `,"createdAt":`...)
	b = appendTime(b, c.CreatedAt)
	if !c.EditedAt.IsZero() {
		b = append(b, `,"editedAt":`...)
		b = appendTime(b, c.EditedAt)
	}
	return b
}

func appendPost(b []byte, p *ticketing.Post, comments uint32) []byte {
	b = append(appendPostFields(b, p), `,"commentCount":`...)
	b = strconv.AppendUint(b, uint64(comments), 10)
	return append(b, '}')
}

// appendPostFields leaves the object open.
func appendPostFields(b []byte, p *ticketing.Post) []byte {
	b = append(b, `{"id":`...)
	b = appendID(b, p.ID)
	b = append(b, ',')
	b = appendAuthor(b, p.Author)
	b = append(b, `,"title":`...)
	b = appendString(b, p.Title)
	b = append(b, `,"body":`...)
	b = appendString(b, p.Body)
	return appendContent(b, &p.Content)
}

func appendComment(b []byte, c *ticketing.Comment) []byte {
	b = append(b, `{"id":`...)
	b = appendID(b, c.ID)
	b = append(b, `,"postId":`...)
	b = appendID(b, c.Post)
	if !c.Parent.IsZero() {
		b = append(b, `,"parentId":`...)
		b = appendID(b, c.Parent)
	}
	b = append(b, ',')
	b = appendAuthor(b, c.Author)
	b = append(b, `,"text":`...)
	b = appendString(b, c.Text)
	b = appendContent(b, &c.Content)
	return append(b, '}')
}

func appendNext(b []byte, next string) []byte {
	if next != "" {
		b = append(b, `,"next":`...)
		b = appendString(b, next)
	}
	return append(b, '}')
}

func appendFeed(b []byte, posts []ticketing.FeedPost, next string) []byte {
	b = append(b, `{"items":[`...)
	for i := range posts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPost(b, &posts[i].Post, posts[i].Comments)
	}
	return appendNext(append(b, ']'), next)
}

func appendComments(b []byte, comments []ticketing.Comment) []byte {
	b = append(b, '[')
	for i := range comments {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendComment(b, &comments[i])
	}
	return append(b, ']')
}

func appendThread(b []byte, t *ticketing.ThreadPage, next string) []byte {
	b = append(b, `{"post":`...)
	b = appendPost(b, &t.Post.Post, t.Post.Comments)
	b = append(b, `,"comments":`...)
	b = appendComments(b, t.Comments)
	return appendNext(b, next)
}
