package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
)

func (a *app) decision() *cobra.Command {
	return group("decision", "Look into what was decided", a.decisionReplay())
}

// errNotSame ends a replay that came to something else, after it was printed.
var errNotSame = errors.New("the decision does not come out as it is stored")

func (a *app) decisionReplay() *cobra.Command {
	c := a.pluginCommand("replay ID", "Recompute a decision of rules bit for bit", between(1, 1), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		id, err := ticketing.ParseID(args[0])
		if err != nil {
			return err
		}
		r, err := api.Replay(ctx, id)
		if err != nil {
			return err
		}
		if err := a.printReplay(&r, asJSON); err != nil {
			return err
		}
		if slices.ContainsFunc(r.Rules, func(o ticketing.RuleReplay) bool { return !o.Same && !o.Outside }) {
			return errNotSame
		}
		return nil
	})
	c.Long = "Recompute a decision of rules by what they saw then, the same modules and the same configuration, and say whether every outcome is the\n" +
		"same. It fails if one is not. A failure by a deadline, a quarantine or the server does not follow from the item: it is explained, and the rule says\n" +
		"what it says now. Decisions of people, and those whose item was deleted, cannot be recomputed, which it says, too.\n" +
		"ticketing plugin decisions has the ids."
	return c
}

func (a *app) printReplay(r *ticketing.Replay, asJSON bool) error {
	if asJSON {
		return a.json(r)
	}
	d := &r.Decision
	fmt.Fprintf(a.out, "%s  %s %s, revision %d, %s by generation %d\n", d.ID, d.Kind, d.Subject, d.Rev, d.Status, d.Generation)
	if r.Note != "" {
		_, err := fmt.Fprintln(a.out, printable(r.Note))
		return err
	}
	var rows [][]string
	for i := range r.Rules {
		o := &r.Rules[i]
		same := "same"
		switch {
		case o.Outside:
			same = "not compared: " + o.Note
		case !o.Same:
			same = "differs: " + o.Note
		case !o.SameFuel:
			same = "same, other fuel: " + o.Note
		}
		rows = append(rows, []string{o.Rule, o.Stored.Version, answer(&o.Stored), answer(&o.Now), number(o.Stored.Fuel), same})
	}
	if err := a.table([]string{"RULE", "VERSION", "STORED", "NOW", "FUEL", ""}, rows); err != nil {
		return err
	}
	var err error
	switch {
	case r.Same && r.SameFuel:
		_, err = fmt.Fprintln(a.out, "Every outcome comes out as it is stored, bit for bit, with the same fuel.")
	case r.Same:
		_, err = fmt.Fprintln(a.out, "Every outcome comes out as it is stored, bit for bit; the fuel differs.")
	}
	return err
}

// answer is an outcome in short.
func answer(o *ticketing.RuleOutcome) string {
	switch {
	case o.Failure != "":
		return "failed: " + o.Failure
	case o.Abstain:
		return "abstained"
	}
	return fmt.Sprintf("%s %d", o.Action, o.Score)
}
