// Package preset finds the configuration of a version for which nobody has given one.
package preset

import (
	"errors"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/rules"
)

// Choose returns the first of some configurations that a version takes, or else the one that the version comes with as a built-in rule, or else
// the defaults of its schema.
func Choose(v *ticketing.PluginVersion, present ...ticketing.Preset) (ticketing.Preset, error) {
	for _, c := range append(present, ticketing.Preset{Config: rules.ConfigOf(v.Digest), From: "the one that the built-in rule comes with"}) {
		if len(c.Config) > 0 && host.Fits(&v.Manifest, c.Config) == nil {
			return c, nil
		}
	}
	config, err := host.Defaults(&v.Manifest)
	if err == nil {
		return ticketing.Preset{Config: config, From: "the defaults of the schema of " + v.Version}, nil
	}
	why := err.Error()
	if e := new(ticketing.Error); errors.As(err, &e) {
		why = e.Msg
	}
	return ticketing.Preset{}, ticketing.Errorf(ticketing.Invalid, "%s of %s needs a configuration: with the defaults of its schema %s", v.Version, v.Name, why)
}
