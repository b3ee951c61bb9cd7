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

// ClaimTicket implements ticketing.TicketService.
func (c Client) ClaimTicket(ctx context.Context, cmd ticketing.ClaimTicket) (ticketing.TicketChange, error) {
	r, pos, err := system.Command[ticketing.TicketChange](ctx, c.sys, Name, cmd.ID.Slot(), opClaim, &cmd)
	r.Position = pos
	return r, err
}

// ReleaseTicket implements ticketing.TicketService.
func (c Client) ReleaseTicket(ctx context.Context, cmd ticketing.ReleaseTicket) (ticketing.TicketChange, error) {
	r, pos, err := system.Command[ticketing.TicketChange](ctx, c.sys, Name, cmd.ID.Slot(), opRelease, &cmd)
	r.Position = pos
	return r, err
}

// NoteTicket implements ticketing.TicketService.
func (c Client) NoteTicket(ctx context.Context, cmd ticketing.NoteTicket) (ticketing.TicketChange, error) {
	r, pos, err := system.Command[ticketing.TicketChange](ctx, c.sys, Name, cmd.ID.Slot(), opNote, &cmd)
	r.Position = pos
	return r, err
}

// EscalateTicket implements ticketing.TicketService.
func (c Client) EscalateTicket(ctx context.Context, cmd ticketing.EscalateTicket) (ticketing.TicketChange, error) {
	r, pos, err := system.Command[ticketing.TicketChange](ctx, c.sys, Name, cmd.ID.Slot(), opEscalate, &cmd)
	r.Position = pos
	return r, err
}

// Case implements ticketing.TicketService.
func (c Client) Case(ctx context.Context, id ticketing.ID) (ticketing.TicketCase, error) {
	return system.Query[ticketing.TicketCase](ctx, c.sys, Name, id.Slot(), opCase, &byID{id})
}
