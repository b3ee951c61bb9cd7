package comments

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// learn keeps what an event says of a post, unless something newer is known already (a command may have brought it).
func learn(tx *shard.Tx, r ticketing.PostRef) error {
	var have ticketing.PostRef
	if !tx.Get(postKey(r.ID), &have) || have.Moved < r.Moved {
		tx.Put(postKey(r.ID), r)
	}
	return nil
}

func (s *service) postCreated(tx *shard.Tx, _ *ticketing.Event, e *ticketing.PostCreated) error {
	return learn(tx, e.Post.Ref())
}

func (s *service) postEdited(tx *shard.Tx, _ *ticketing.Event, e *ticketing.PostEdited) error {
	return learn(tx, e.Post.Ref())
}

func (s *service) postDeleted(tx *shard.Tx, _ *ticketing.Event, e *ticketing.PostDeleted) error {
	return learn(tx, e.Post.Ref())
}

func (s *service) postModerated(tx *shard.Tx, _ *ticketing.Event, e *ticketing.PostModerated) error {
	return learn(tx, e.Ref)
}
