// Package comments is the service that owns comments and their status. A comment lives in its post's slot; what comments knows of posts
// it hears from their events.
package comments

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// Name is the service's name.
const Name = "comments"

// Codes of the operations, on the wire: never reuse one.
const (
	opCreate = iota + 1
	opEdit
	opDelete
	opComment
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
			shard.Query(opComment, s.comment),
		},
		Subscriptions: []shard.Subscription{{
			Producer: "posts", Route: shard.BySubject,
			On: map[ticketing.EventType]shard.EventHandler{
				ticketing.EvPostCreated:   shard.On(s.postCreated),
				ticketing.EvPostEdited:    shard.On(s.postEdited),
				ticketing.EvPostDeleted:   shard.On(s.postDeleted),
				ticketing.EvPostModerated: shard.On(s.postModerated),
			},
		}, {
			Producer: "moderation", Route: shard.BySubject,
			On: map[ticketing.EventType]shard.EventHandler{ticketing.EvModerated: shard.On(s.decided)},
		}},
		Export: export,
	}
}

// Tables of the state.
const (
	tableComment = 'c' // comment id → Comment
	tablePost    = 'p' // post id → PostRef
)

func key(id ticketing.ID) shard.Key { return shard.KeyOf(tableComment, id) }

func postKey(id ticketing.ID) shard.Key { return shard.KeyOf(tablePost, id) }

// export emits every comment as it is, for projections that begin from nothing.
func export(v *shard.View, emit func(ticketing.EventData) error) (err error) {
	v.Scan(nil, func(k shard.Key, decode func(any)) bool {
		if k.Table() != tableComment {
			return true
		}
		var c ticketing.Comment
		decode(&c)
		err = emit(&ticketing.CommentCreated{Comment: c})
		return err == nil
	})
	return err
}
