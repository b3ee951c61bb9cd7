// Package posts is the service that owns posts and their status. It takes moderation's decisions over for the revision that they name.
package posts

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// Name is the service's name.
const Name = "posts"

// Codes of the operations, on the wire: never reuse one.
const (
	opCreate = iota + 1
	opEdit
	opDelete
	opPost
)

// New returns what the service answers and listens to.
func New() shard.Spec {
	s := &service{}
	return shard.Spec{
		Service: Name,
		Handlers: []shard.Handler{
			shard.Command(opCreate, s.create),
			shard.Command(opEdit, s.edit),
			shard.Command(opDelete, s.delete),
			shard.Query(opPost, s.post),
		},
		Subscriptions: []shard.Subscription{{
			Producer: "moderation", Route: shard.BySubject,
			On: map[ticketing.EventType]shard.EventHandler{ticketing.EvPostDecided: shard.On(s.decided)},
		}},
		Export: export,
	}
}

// tablePost holds the posts by id.
const tablePost = 'p'

func key(id ticketing.ID) shard.Key { return shard.KeyOf(tablePost, id) }

// export emits every post as it is, for projections that begin from nothing.
func export(v *shard.View, emit func(ticketing.EventData) error) (err error) {
	v.Scan(nil, func(_ shard.Key, decode func(any)) bool {
		var p ticketing.Post
		decode(&p)
		err = emit(&ticketing.PostCreated{Post: p})
		return err == nil
	})
	return err
}
