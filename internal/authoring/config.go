package authoring

import (
	"encoding/json"
	"errors"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/rules"
)

// A Chosen configuration is one that a version takes for which nobody gave any.
type Chosen struct {
	Config json.RawMessage
	From   string // where it comes from, for people
}

// Choose returns the first of some configurations that a version takes, or else the one that the version comes with as a built-in rule, or else
// the defaults of its schema.
func Choose(v *ticketing.PluginVersion, present ...Chosen) (Chosen, error) {
	for _, c := range append(present, Chosen{rules.ConfigOf(v.Digest), "the one that the built-in rule comes with"}) {
		if len(c.Config) > 0 && host.Fits(&v.Manifest, c.Config) == nil {
			return c, nil
		}
	}
	config, err := host.Defaults(&v.Manifest)
	if err == nil {
		return Chosen{config, "the defaults of the schema of " + v.Version}, nil
	}
	why := err.Error()
	if e := new(ticketing.Error); errors.As(err, &e) {
		why = e.Msg
	}
	return Chosen{}, ticketing.Errorf(ticketing.Invalid, "%s of %s needs a configuration: with the defaults of its schema %s", v.Version, v.Name, why)
}
