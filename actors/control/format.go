package control

import (
	"context"
	"slices"
	"strings"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// raise makes the cluster one of the newest format that all members know.
func (s *service) raise(tx *shard.Tx, c *ticketing.RaiseFormat) (int, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return 0, ticketing.Errorf(ticketing.Forbidden, "Only an operator may raise the cluster's format.")
	}
	h, err := head(tx)
	if err != nil {
		return 0, err
	}
	m, _ := ReadMap(&tx.View)
	if common := m.Common(); common > h.Format {
		h.Format = common
		h.changed(tx)
		return common, nil
	}
	if behind := behind(&m); len(behind) > 0 {
		return 0, ticketing.Errorf(ticketing.Conflict, "This cluster stays of format %d while these nodes run a program that knows no newer one: %s.", h.Format, strings.Join(behind, ", "))
	}
	return h.Format, nil
}

// platform refuses what programs of the first format do not know.
func platform(tx *shard.Tx) error {
	return ticketing.NeedsFormat(tx.Format(), ticketing.PlatformFormat)
}

// behind names the members that keep the others from a newer format.
func behind(m *ticketing.ClusterMap) (nodes []string) {
	for _, member := range m.Members {
		if member.Formats.Newest <= m.Format {
			nodes = append(nodes, member.Node)
		}
	}
	if newer := func(member ticketing.Member) bool { return member.Formats.Newest > m.Format }; !slices.ContainsFunc(m.Members, newer) {
		return nil
	}
	return nodes
}

// RaiseFormat makes the cluster one of the newest format that all members know, on an operator's behalf, and returns it.
func (c Client) RaiseFormat(ctx context.Context, cmd ticketing.RaiseFormat) (int, error) {
	format, _, err := system.Command[int](ctx, c.sys, Name, 0, opRaise, &cmd)
	return format, err
}
