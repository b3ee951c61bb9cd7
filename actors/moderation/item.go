package moderation

import (
	"time"

	"ticketing"
)

func postItem(p *ticketing.Post, at time.Time) *ticketing.Item {
	return &ticketing.Item{Kind: ticketing.KindPost, ID: p.ID, Rev: p.Rev, Title: p.Title, Text: p.Body,
		Author: p.Author, AuthorAge: age(p.Author.ID, at), At: at, Locale: p.Locale}
}

func commentItem(c *ticketing.Comment, at time.Time) *ticketing.Item {
	return &ticketing.Item{Kind: ticketing.KindComment, ID: c.ID, Rev: c.Rev, Post: c.Post, Parent: c.Parent, Text: c.Text,
		Author: c.Author, AuthorAge: age(c.Author.ID, at), At: at, Locale: c.Locale}
}

// age is how long the author's account existed at a time, in milliseconds: an account's ID carries when it was made. Imported items may
// be older than their author's account; then it is 0.
func age(author ticketing.ID, at time.Time) int64 {
	return max(at.Sub(author.Time()).Milliseconds(), 0)
}
