package comments

import (
	"context"

	"ticketing"
	"ticketing/runtime/system"
)

// Client asks the service, wherever its shards lead.
type Client struct{ sys *system.System }

var _ ticketing.CommentService = Client{}

// NewClient makes a client.
func NewClient(sys *system.System) Client { return Client{sys} }

// CreateComment implements ticketing.CommentService.
func (c Client) CreateComment(ctx context.Context, cmd ticketing.CreateComment) (ticketing.Created, error) {
	r, pos, err := system.Command[ticketing.Created](ctx, c.sys, Name, cmd.ID.Slot(), opCreate, &cmd)
	r.Position = pos
	return r, err
}

// EditComment implements ticketing.CommentService.
func (c Client) EditComment(ctx context.Context, cmd ticketing.EditComment) (ticketing.CommentChange, error) {
	r, pos, err := system.Command[ticketing.CommentChange](ctx, c.sys, Name, cmd.ID.Slot(), opEdit, &cmd)
	r.Position = pos
	return r, err
}

// DeleteComment implements ticketing.CommentService.
func (c Client) DeleteComment(ctx context.Context, cmd ticketing.DeleteItem) (ticketing.CommentChange, error) {
	r, pos, err := system.Command[ticketing.CommentChange](ctx, c.sys, Name, cmd.ID.Slot(), opDelete, &cmd)
	r.Position = pos
	return r, err
}

// Comment implements ticketing.CommentService.
func (c Client) Comment(ctx context.Context, id ticketing.ID) (ticketing.Comment, error) {
	return system.Query[ticketing.Comment](ctx, c.sys, Name, id.Slot(), opComment, &byID{id})
}
