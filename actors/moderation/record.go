package moderation

import (
	"context"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// opRecord begins a range of codes of its own.
const opRecord = 40

// maxSubjects bounds how many items one record tells about.
const maxSubjects = 100

type byAuthor struct {
	Author   ticketing.ID   `cbor:"1,keyasint"`
	Subjects []ticketing.ID `cbor:"2,keyasint"`
}

// record returns an author's counts, and the last decision about each of the subjects.
func (s *service) record(v *shard.View, q *byAuthor) (ticketing.AuthorRecord, error) {
	r := ticketing.AuthorRecord{Decisions: []ticketing.Decision{}}
	v.Get(shard.KeyOf(tableCounts, q.Author), &r.Counts)
	for _, subject := range q.Subjects[:min(len(q.Subjects), maxSubjects)] {
		ds, err := s.decisions(v, &bySubject{q.Author, subject})
		if err != nil {
			return r, err
		}
		if len(ds) > 0 {
			r.Decisions = append(r.Decisions, ds[len(ds)-1])
		}
	}
	return r, nil
}

// Record implements ticketing.ModerationService.
func (c Client) Record(ctx context.Context, author ticketing.ID, subjects []ticketing.ID) (ticketing.AuthorRecord, error) {
	return system.Query[ticketing.AuthorRecord](ctx, c.sys, Name, author.Slot(), opRecord, &byAuthor{author, subjects})
}
