package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
	"ticketing/internal/authoring"
	"ticketing/plugins/preset"
)

func (a *app) plugin() *cobra.Command {
	return group("plugin", "Write, test, upload, activate and watch moderation rules",
		a.pluginNew(), a.pluginBuild(), a.pluginTest(), a.pluginInspect(),
		a.pluginPush(), a.pluginList(), a.pluginActivate(), a.pluginShadow(), a.pluginCanary(), a.pluginPromote(), a.pluginRollback(), a.pluginRetire(), a.pluginResume(),
		a.pluginHistory(), a.pluginLogs(), a.pluginUsage(), a.pluginSign(), a.pluginKeys(), a.pluginDecisions(),
		a.pluginBacktest(), a.pluginBacktests())
}

// pluginCommand is a command against a server, with --json.
func (a *app) pluginCommand(use, short string, args cobra.PositionalArgs, do func(context.Context, *client.Client, []string, bool) error) *cobra.Command {
	var r remote
	var asJSON bool
	c := &cobra.Command{Use: use, Short: short, Args: args}
	r.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := r.connect(c.Context())
		if err != nil {
			return err
		}
		return do(c.Context(), api, args, asJSON)
	}
	return c
}

func (a *app) pluginPush() *cobra.Command {
	return a.pluginCommand("push NAME FILE", "Upload a module", between(2, 2), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		if err := authoring.CheckName(args[0]); err != nil {
			return err
		}
		module, err := readModule(args[1])
		if err != nil {
			return err
		}
		v, existed, err := api.Upload(ctx, args[0], module)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(v)
		}
		verb := "uploaded"
		if existed {
			verb = "the server already has"
		}
		if _, err = fmt.Fprintf(a.out, "%s %s %s, %d bytes, %s\n%s\n", verb, v.Name, v.Version, v.Size, v.State, v.Digest); err != nil {
			return err
		}
		if own := v.Manifest.Name; own != "" && own != v.Name {
			if _, err = fmt.Fprintf(a.out, "its manifest calls it %s; here it is a version of %s\n", printable(own), v.Name); err != nil {
				return err
			}
		}
		if err := a.printGaps(v.Gaps); err != nil {
			return err
		}
		if v.State == ticketing.VersionRejected {
			return fmt.Errorf("%s %s was rejected: %s", v.Name, v.Version, v.Reason)
		}
		if v.Reason != "" {
			_, err = fmt.Fprintf(a.out, "%s\n", v.Reason)
		}
		return err
	})
}

// readModule reads a module's file. How large a module may be is for the server to say, as far as any takes it.
func readModule(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, cause(err))
	}
	if !info.Mode().IsRegular() || info.Size() > ticketing.MaxModule {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes, which is what a server can be set to take", path, ticketing.MaxModule)
	}
	return os.ReadFile(path)
}

// cause strips the path off an error of package os: we say it ourselves.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (a *app) pluginList() *cobra.Command {
	return a.pluginCommand("list", "List versions and what is active", between(0, 0), func(ctx context.Context, api *client.Client, _ []string, asJSON bool) error {
		versions, err := api.Plugins(ctx)
		if err != nil {
			return err
		}
		rules, err := api.Rules(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(map[string]any{"plugins": versions, "rules": rules})
		}
		var rows [][]string
		for _, v := range versions {
			state, policy := string(v.State), ""
			if r := ruleNamed(rules, v.Name); r != nil && r.Active == v.Digest.String() {
				policy = r.OnFailure
			}
			rows = append(rows, []string{v.Name, v.Version, state, policy, strconv.Itoa(v.Size), short(v.UploadedAt), v.Digest.String()})
		}
		return a.table([]string{"NAME", "VERSION", "STATE", "ON FAILURE", "BYTES", "UPLOADED", "DIGEST"}, rows)
	})
}

func short(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func ruleNamed(rules []client.Rule, name string) *client.Rule {
	for i := range rules {
		if rules[i].Name == name {
			return &rules[i]
		}
	}
	return nil
}

func (a *app) pluginActivate() *cobra.Command {
	var config, onFailure, why string
	var older, signed bool
	var limits []string
	var c *cobra.Command
	c = a.pluginCommand("activate NAME DIGEST|VERSION", "Let a version judge from now on", between(2, 2), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		v, err := versionNamed(ctx, api, args[0], args[1])
		if err != nil {
			return err
		}
		digest := v.Digest.String()
		return a.changeRule(ctx, api, args[0], asJSON, func(change *client.RuleChange, _ bool) (ticketing.Preset, error) {
			chosen, err := configFor(&v, config, configsOf(change, digest)...)
			if err != nil {
				return chosen, err
			}
			if len(limits) > 0 {
				next := ticketing.RuleLimits{}
				if change.Limits != nil {
					next = *change.Limits
				}
				if err := setLimits(&next, limits); err != nil {
					return chosen, err
				}
				change.Limits = &next
			}
			change.Config = chosen.Config
			change.Active, change.Why, change.AllowOlder = digest, why, older
			if onFailure != "" {
				change.OnFailure = onFailure
			}
			if c.Flags().Changed("signed") {
				change.Signed = &signed
			}
			// A candidate that judges from now on is none any more.
			if change.Canary != nil && change.Canary.Digest == digest {
				change.Canary = nil
			}
			if change.Shadow != nil && change.Shadow.Digest == digest {
				change.Shadow = nil
			}
			return chosen, nil
		})
	})
	c.Flags().StringVar(&config, "config", "", configUsage)
	c.Flags().StringVar(&onFailure, "on-failure", "", "what becomes of an item when the rule fails: hold, allow or reject; default: as it is, or hold")
	c.Flags().BoolVar(&older, "older", false, "a version that was uploaded before the active one is meant")
	limitFlag(c, &limits)
	c.Flags().BoolVar(&signed, "signed", false, "only signed versions may judge; default: as it is")
	c.Flags().StringVar(&why, "why", "", "a reason, for the history")
	return c
}

// changeRule changes what is given of a rule, and leaves the rest as it is. Which config was taken where none was given is said when it is done. The change is refused if somebody else changes the rule meanwhile.
func (a *app) changeRule(ctx context.Context, api *client.Client, name string, asJSON bool, change func(c *client.RuleChange, there bool) (ticketing.Preset, error)) error {
	rules, err := api.Rules(ctx)
	if err != nil {
		return err
	}
	etag, next := "", client.RuleChange{}
	r := ruleNamed(rules, name)
	if r != nil {
		etag, next = r.ETag, r.Change()
	}
	config, err := change(&next, r != nil && r.Active != "")
	if err != nil {
		return err
	}
	changed, err := api.SetRule(ctx, name, etag, next)
	if err == nil && config.From != "" {
		fmt.Fprintf(a.err, "config: %s: %s\n", config.From, excerpt(config.Config))
	}
	return a.printRule(changed, err, asJSON)
}

// configUsage says what becomes of a rule's config.
const configUsage = "the config: a JSON file, or an object like {}; default: the rule's present one if the version takes it, else what a built-in rule comes with, or the defaults of the version's schema"

// configsOf are the configs that a version may be meant to go on with: the one that it has as a candidate, then the rule's.
func configsOf(r *client.RuleChange, digest string) (all []ticketing.Preset) {
	if c := r.Canary; c != nil && c.Digest == digest {
		all = append(all, ticketing.Preset{Config: c.Config, From: "the canary's"})
	}
	if c := r.Shadow; c != nil && c.Digest == digest {
		all = append(all, ticketing.Preset{Config: c.Config, From: "the shadow's"})
	}
	if r.Active != "" {
		all = append(all, ticketing.Preset{Config: r.Config, From: "the rule's present one"})
	}
	return all
}

// configFor is the config that somebody gave, or else the one that fits.
func configFor(v *ticketing.PluginVersion, given string, present ...ticketing.Preset) (ticketing.Preset, error) {
	if given != "" {
		config, err := readConfig(given)
		return ticketing.Preset{Config: config}, err
	}
	return preset.Choose(v, present...)
}

// excerpt is the beginning of a config, on one line.
func excerpt(config json.RawMessage) string {
	const most = 200
	var b bytes.Buffer
	if json.Compact(&b, config) != nil || b.Len() <= most {
		return b.String()
	}
	return strings.ToValidUTF8(b.String()[:most], "") + "…"
}

// readConfig reads a file, or takes an object as it is.
func readConfig(path string) (json.RawMessage, error) {
	b := []byte(path)
	if !strings.HasPrefix(path, "{") {
		var err error
		if b, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, cause(err))
		}
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(b, &object); err != nil {
		return nil, fmt.Errorf("%s: not a JSON object: %w", path, err)
	}
	return b, nil
}

// findVersion returns the digest of a version that is named by "v2", by its digest, or by a beginning of that which names one only.
func findVersion(ctx context.Context, api *client.Client, name, which string) (string, error) {
	v, err := versionNamed(ctx, api, name, which)
	if err != nil {
		return "", err
	}
	return v.Digest.String(), nil
}

// versionNamed returns the version that findVersion finds.
func versionNamed(ctx context.Context, api *client.Client, name, which string) (ticketing.PluginVersion, error) {
	versions, err := api.Plugins(ctx)
	if err != nil {
		return ticketing.PluginVersion{}, err
	}
	prefix := "sha256:" + strings.TrimPrefix(which, "sha256:")
	versions = slices.DeleteFunc(versions, func(v ticketing.PluginVersion) bool {
		return v.Name != name || v.Version != which && (len(prefix) < 7+6 || !strings.HasPrefix(v.Digest.String(), prefix))
	})
	switch len(versions) {
	case 0:
		return ticketing.PluginVersion{}, fmt.Errorf("the server has no version %s of %s; see ticketing plugin list", which, name)
	case 1:
		return versions[0], nil
	}
	return ticketing.PluginVersion{}, fmt.Errorf("%s names %d versions of %s", which, len(versions), name)
}

func (a *app) pluginRollback() *cobra.Command {
	var why string
	c := a.pluginCommand("rollback NAME", "Take a rule's canary away, or else let its version before judge again", between(1, 1), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		was, err := api.Rule(ctx, args[0])
		if err != nil {
			return err
		}
		r, err := api.Rollback(ctx, args[0], why)
		if err := a.printRule(r, err, asJSON); err != nil || asJSON || was.Canary == nil || r.Canary != nil || r.Active != was.Active {
			return err
		}
		more := ""
		if r.PreviousVersion != "" {
			more = "; a second rollback brings " + r.PreviousVersion + " back"
		}
		_, err = fmt.Fprintf(a.out, "the canary %s is taken away%s\n", was.Canary.Version, more)
		return err
	})
	c.Flags().StringVar(&why, "why", "", "a reason, for the history")
	return c
}

func (a *app) printRule(r client.Rule, err error, asJSON bool) error {
	if err != nil {
		return err
	}
	if asJSON {
		return a.json(r)
	}
	state := "is retired"
	switch {
	case r.Active == "" && r.Shadow != nil:
		state = "judges nothing, its shadow is compared with what the other rules decide"
	case r.Active != "" && !r.SuspendedUntil.IsZero():
		state = r.Version + " is in quarantine until " + short(r.SuspendedUntil) + "; every item: " + r.OnFailure
	case r.Active != "":
		state = "judges by " + r.Version + " (" + r.Active + "), on failure: " + r.OnFailure
	}
	if _, err = fmt.Fprintf(a.out, "%s %s; generation %d\n", r.Name, state, r.Generation); err != nil {
		return err
	}
	if r.Limits != (ticketing.RuleLimits{}) && r.Active != "" {
		fmt.Fprintf(a.out, "limits: %s\n", limitsText(r.Effective))
	}
	if r.Shadow != nil {
		fmt.Fprintf(a.out, "shadow: %s\n", r.Shadow.Version)
	}
	if n := r.Canary; n != nil {
		auto := "until somebody promotes it or takes it away"
		if n.Auto {
			auto = "promoted or taken away by the server"
		}
		_, err = fmt.Fprintf(a.out, "canary: %s for %.2f %% of the authors, %s\n", n.Version, float64(n.Share)/100, auto)
	}
	return err
}
