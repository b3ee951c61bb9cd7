package tickets

import (
	"context"

	"ticketing"
	"ticketing/runtime/system"
)

// Client asks the service, wherever its shards lead.
type Client struct{ sys *system.System }

var _ ticketing.TicketService = Client{}

// NewClient makes a client.
func NewClient(sys *system.System) Client { return Client{sys} }

// OpenTicket implements ticketing.TicketService.
func (c Client) OpenTicket(ctx context.Context, cmd ticketing.OpenTicket) (ticketing.TicketChange, error) {
	r, pos, err := system.Command[ticketing.TicketChange](ctx, c.sys, Name, cmd.ID.Slot(), opOpen, &cmd)
	r.Position = pos
	return r, err
}

// DecideTicket implements ticketing.TicketService.
func (c Client) DecideTicket(ctx context.Context, cmd ticketing.DecideTicket) (ticketing.TicketChange, error) {
	r, pos, err := system.Command[ticketing.TicketChange](ctx, c.sys, Name, cmd.ID.Slot(), opDecide, &cmd)
	r.Position = pos
	return r, err
}

// Ticket implements ticketing.TicketService.
func (c Client) Ticket(ctx context.Context, id ticketing.ID) (ticketing.Ticket, error) {
	return system.Query[ticketing.Ticket](ctx, c.sys, Name, id.Slot(), opTicket, &byID{id})
}
