package posts

import (
	"context"

	"ticketing"
	"ticketing/runtime/system"
)

// Client asks the service, wherever its shards lead.
type Client struct{ sys *system.System }

var _ ticketing.PostService = Client{}

// NewClient makes a client.
func NewClient(sys *system.System) Client { return Client{sys} }

// CreatePost implements ticketing.PostService.
func (c Client) CreatePost(ctx context.Context, cmd ticketing.CreatePost) (ticketing.Created, error) {
	r, pos, err := system.Command[ticketing.Created](ctx, c.sys, Name, cmd.ID.Slot(), opCreate, &cmd)
	r.Position = pos
	return r, err
}

// EditPost implements ticketing.PostService.
func (c Client) EditPost(ctx context.Context, cmd ticketing.EditPost) (ticketing.PostChange, error) {
	r, pos, err := system.Command[ticketing.PostChange](ctx, c.sys, Name, cmd.ID.Slot(), opEdit, &cmd)
	r.Position = pos
	return r, err
}

// DeletePost implements ticketing.PostService.
func (c Client) DeletePost(ctx context.Context, cmd ticketing.DeleteItem) (ticketing.PostChange, error) {
	r, pos, err := system.Command[ticketing.PostChange](ctx, c.sys, Name, cmd.ID.Slot(), opDelete, &cmd)
	r.Position = pos
	return r, err
}

// Post implements ticketing.PostService.
func (c Client) Post(ctx context.Context, id ticketing.ID) (ticketing.Post, error) {
	return system.Query[ticketing.Post](ctx, c.sys, Name, id.Slot(), opPost, &byID{id})
}
