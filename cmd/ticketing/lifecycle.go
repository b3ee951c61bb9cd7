package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
)

// errNotActive is for canaries of rules that do not judge.
func errNotActive(name string) error {
	return fmt.Errorf("no version of %s judges, and a canary stands beside one that does; see ticketing plugin shadow and activate", name)
}

// candidate is a version that shall be a shadow or a canary of a rule.
func candidate(ctx context.Context, api *client.Client, args []string, config string, of *client.RuleChange) (*client.Candidate, ticketing.Preset, error) {
	v, err := versionNamed(ctx, api, args[0], args[1])
	if err != nil {
		return nil, ticketing.Preset{}, err
	}
	c := &client.Candidate{Digest: v.Digest.String()}
	chosen, err := configFor(&v, config, configsOf(of, c.Digest)...)
	c.Config = chosen.Config
	return c, chosen, err
}

func (a *app) pluginShadow() *cobra.Command {
	var config, why string
	var off bool
	c := a.pluginCommand("shadow NAME [DIGEST|VERSION]", "Let a version judge without any effect, beside the active one or as a new rule", between(1, 2), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		if off == (len(args) == 2) {
			return errors.New("name the version that shall be the shadow, or say --off")
		}
		if off {
			if r, err := api.Rule(ctx, args[0]); err != nil || r.Active == "" { // nothing is left of a rule that was only watched
				if err == nil {
					r, err = api.Retire(ctx, args[0], r.ETag, why)
				}
				return a.printRule(r, err, asJSON)
			}
		}
		return a.changeRule(ctx, api, args[0], asJSON, func(change *client.RuleChange, _ bool) (chosen ticketing.Preset, err error) {
			change.Why = why
			if off {
				change.Shadow = nil
				return chosen, nil
			}
			change.Shadow, chosen, err = candidate(ctx, api, args, config, change)
			return chosen, err
		})
	})
	c.Flags().StringVar(&config, "config", "", configUsage)
	c.Flags().BoolVar(&off, "off", false, "take the shadow away")
	c.Flags().StringVar(&why, "why", "", "a reason, for the history")
	return c
}

func (a *app) pluginCanary() *cobra.Command {
	var config, why string
	var off, manual, older bool
	var percent float64
	var items uint32
	var wait time.Duration
	c := a.pluginCommand("canary NAME [DIGEST|VERSION]", "Let a version judge a share of the authors", between(1, 2), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		switch {
		case off == (len(args) == 2):
			return errors.New("name the version that shall be the canary, or say --off")
		case percent < 0.01 || percent > 100:
			return errors.New("--percent is a number from 0.01 to 100")
		case wait < 0 || wait > 30*24*time.Hour:
			return errors.New("--for is a time of up to 30 days, such as 10m")
		}
		return a.changeRule(ctx, api, args[0], asJSON, func(change *client.RuleChange, there bool) (chosen ticketing.Preset, err error) {
			change.Why, change.AllowOlder = why, older
			switch {
			case !there:
				return chosen, errNotActive(args[0])
			case off:
				change.Canary = nil
				return chosen, nil
			}
			if change.Canary, chosen, err = candidate(ctx, api, args, config, change); err != nil {
				return chosen, err
			}
			change.Canary.Share, change.Canary.Auto = uint32(percent*100+0.5), !manual
			change.Canary.MinJudged, change.Canary.MinSeconds = items, uint32(wait/time.Second)
			return chosen, nil
		})
	})
	f := c.Flags()
	f.StringVar(&config, "config", "", configUsage)
	f.Float64Var(&percent, "percent", 10, "of the authors")
	f.BoolVar(&manual, "manual", false, "the server neither promotes it nor takes it away by itself")
	f.Uint32Var(&items, "items", 0, "that it must judge before the server promotes it; default 500")
	f.DurationVar(&wait, "for", 0, "how long it must judge before the server promotes it; default 10m")
	f.BoolVar(&off, "off", false, "take the canary away")
	f.BoolVar(&older, "older", false, "a version that was uploaded before the active one is meant")
	f.StringVar(&why, "why", "", "a reason, for the history")
	return c
}

func (a *app) pluginPromote() *cobra.Command {
	var p client.Promotion
	var percent float64
	var limits []string
	c := a.pluginCommand("promote NAME", "Make a rule's shadow its canary, or let its canary judge", between(1, 1), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		if percent != 0 && (percent < 0.01 || percent > 100) {
			return errors.New("--percent is a number from 0.01 to 100")
		}
		p.Share = uint32(percent*100 + 0.5)
		if len(limits) > 0 {
			was, err := api.Rule(ctx, args[0])
			if err != nil {
				return err
			}
			if err := setLimits(&was.Limits, limits); err != nil {
				return err
			}
			p.Limits, p.Match = &was.Limits, was.ETag
		}
		r, err := api.Promote(ctx, args[0], p)
		return a.printRule(r, err, asJSON)
	})
	f := c.Flags()
	f.StringVar(&p.To, "to", "", "canary or active; default: the next step")
	f.Float64Var(&percent, "percent", 0, "of the authors, for a shadow that becomes the canary; default 10")
	f.BoolVar(&p.Auto, "auto", false, "the server promotes the canary, or takes it away, by itself")
	limitFlag(c, &limits)
	f.BoolVar(&p.AllowOlder, "older", false, "a version that was uploaded before the active one is meant")
	f.StringVar(&p.Why, "why", "", "a reason, for the history")
	return c
}

func (a *app) pluginRetire() *cobra.Command {
	var why string
	c := a.pluginCommand("retire NAME", "Take a rule out of service", between(1, 1), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		r, err := api.Rule(ctx, args[0])
		if err != nil {
			return err
		}
		r, err = api.Retire(ctx, args[0], r.ETag, why)
		return a.printRule(r, err, asJSON)
	})
	c.Flags().StringVar(&why, "why", "", "a reason, for the history")
	return c
}

func (a *app) pluginResume() *cobra.Command {
	var why string
	c := a.pluginCommand("resume NAME DIGEST|VERSION", "Let a version out of quarantine before its time", between(2, 2), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		text, err := findVersion(ctx, api, args[0], args[1])
		if err != nil {
			return err
		}
		var d ticketing.Digest
		if err := d.UnmarshalText([]byte(text)); err != nil {
			return err
		}
		v, err := api.Resume(ctx, args[0], d, why)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(v)
		}
		_, err = fmt.Fprintf(a.out, "%s %s is %s\n", v.Name, v.Version, v.State)
		return err
	})
	c.Flags().StringVar(&why, "why", "", "a reason, for the history")
	return c
}

// maxLines bounds --limit.
const maxLines = ticketing.MaxLimit

func checkLimit(limit int) error {
	if limit < 1 || limit > maxLines {
		return fmt.Errorf("--limit is a number from 1 to %d", maxLines)
	}
	return nil
}

func (a *app) pluginHistory() *cobra.Command {
	var limit int
	c := a.pluginCommand("history NAME", "Show what became of a plugin's versions, when, by whom and why", between(1, 1), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		steps, err := api.PluginHistory(ctx, args[0], limit)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(steps)
		}
		var rows [][]string
		for _, s := range steps {
			by, generation := "the server", ""
			if !s.By.IsZero() {
				by = cmp.Or(s.ByName, s.By.String())
			}
			if s.Generation > 0 {
				generation = strconv.FormatUint(s.Generation, 10)
			}
			rows = append(rows, []string{short(s.At), s.Version, string(s.From), string(s.To), generation, by, s.Why})
		}
		return a.table([]string{"TIME", "VERSION", "FROM", "TO", "GENERATION", "BY", "WHY"}, rows)
	})
	c.Flags().IntVar(&limit, "limit", maxLines, "how many steps, at most 100")
	return c
}

func (a *app) pluginLogs() *cobra.Command {
	var limit int
	c := a.pluginCommand("logs NAME", "Show the newest lines that a rule logged", between(1, 1), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		lines, err := api.RuleLogs(ctx, args[0], limit)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(lines)
		}
		var rows [][]string
		for _, l := range lines {
			rows = append(rows, []string{short(l.At), l.Node, l.Version, l.Level, l.Text})
		}
		return a.table([]string{"TIME", "NODE", "VERSION", "LEVEL", "TEXT"}, rows)
	})
	c.Flags().IntVar(&limit, "limit", maxLines, "how many lines, at most 100")
	return c
}

func (a *app) pluginUsage() *cobra.Command {
	return a.pluginCommand("usage", "Show what rules cost on each node", between(0, 0), func(ctx context.Context, api *client.Client, _ []string, asJSON bool) error {
		all, err := api.Usage(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(all)
		}
		var rows [][]string
		for _, u := range all {
			per := func(n uint64) string { return strconv.FormatFloat(float64(n)/float64(max(u.Calls, 1)), 'f', 1, 64) }
			rows = append(rows, []string{u.Node, u.Rule, u.Version, u.Role, strconv.FormatUint(u.Calls, 10), strconv.FormatUint(u.Failed, 10), per(u.Fuel), per(u.Micros),
				strconv.FormatFloat(100*u.Share, 'f', 2, 64) + " %"})
		}
		return a.table([]string{"NODE", "RULE", "VERSION", "ROLE", "CALLS", "FAILED", "FUEL/CALL", "µS/CALL", "OF A CORE"}, rows)
	})
}
