package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ticketing"
)

// limitFlag lets a command change limits of a rule.
func limitFlag(c *cobra.Command, changes *[]string) {
	c.Flags().StringArrayVar(changes, "limit", nil, "a limit of the rule, such as fuel=20000000, or fuel=0 for the server's usual one; may be given again; default: as they are.\n"+
		"The limits are "+strings.Join(ticketing.LimitNames(), ", "))
}

// setLimits changes the limits that are named, as NAME=NUMBER. How large they may be the server knows.
func setLimits(l *ticketing.RuleLimits, changes []string) error {
	for _, c := range changes {
		name, value, _ := strings.Cut(c, "=")
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return fmt.Errorf("--limit %s: write a name and a whole number, such as fuel=20000000", c)
		}
		if err := l.Set(name, n); err != nil {
			return err
		}
	}
	return nil
}

// limitsText is limits as the option --limit takes them.
func limitsText(l ticketing.RuleLimits) string {
	var all []string
	for _, name := range ticketing.LimitNames() {
		if n := l.Get(name); n > 0 {
			all = append(all, name+"="+number(n))
		}
	}
	return strings.Join(all, " ")
}

// printGaps says of which limits a module asks for more than it gets.
func (a *app) printGaps(gaps []ticketing.LimitGap) error {
	for _, g := range gaps {
		if _, err := fmt.Fprintf(a.out, "it asks for %d %s and gets %d, unless the rule's limits allow more\n", g.Asked, g.Limit, g.Granted); err != nil {
			return err
		}
	}
	return nil
}
