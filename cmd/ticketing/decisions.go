package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
)

func (a *app) pluginDecisions() *cobra.Command {
	var subject string
	var limit int
	c := a.pluginCommand("decisions", "Show what was decided, and by which rule", between(0, 0), func(ctx context.Context, api *client.Client, _ []string, asJSON bool) error {
		found, err := findDecisions(ctx, api, subject, limit)
		if err != nil {
			return err
		}
		if asJSON {
			if found == nil {
				found = []ticketing.Decision{}
			}
			return a.json(found)
		}
		var rows [][]string
		for _, d := range found {
			rows = append(rows, []string{d.ID.String(), short(d.At), d.Kind.String(), d.Subject.String(), strconv.FormatUint(uint64(d.Rev), 10),
				d.Status.String(), strconv.FormatUint(d.Generation, 10), decider(d), d.Reason})
		}
		return a.table([]string{"ID", "TIME", "KIND", "SUBJECT", "REV", "STATUS", "GENERATION", "BY", "REASON"}, rows)
	})
	c.Flags().StringVar(&subject, "subject", "", "the post or comment; default: the newest of all")
	c.Flags().IntVar(&limit, "limit", ticketing.DefaultLimit, "how many, at most 100")
	return c
}

func findDecisions(ctx context.Context, api *client.Client, subject string, limit int) ([]ticketing.Decision, error) {
	if limit < 1 || limit > ticketing.MaxLimit {
		return nil, errors.New("--limit is a number from 1 to 100")
	}
	if subject == "" {
		return api.Recent(ctx, limit)
	}
	id, err := ticketing.ParseID(subject)
	if err != nil {
		return nil, err
	}
	found, err := api.Decisions(ctx, id)
	return found[max(0, len(found)-limit):], err
}

// decider names who or what brought a decision about: the human, or the rules with the strongest action.
func decider(d ticketing.Decision) string {
	if !d.By.IsZero() {
		return "human " + d.By.String()
	}
	worst := ticketing.ActionNone
	for _, r := range d.Rules {
		worst = max(worst, r.Action)
	}
	var names []string
	for _, r := range d.Rules {
		name := r.Rule + "@" + r.Version
		if r.Failure != "" {
			names = append(names, name+" failed: "+r.Failure)
		} else if r.Action == worst && worst != ticketing.ActionNone {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}
