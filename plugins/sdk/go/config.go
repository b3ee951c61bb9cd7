package rule

import (
	"bytes"
	"encoding/json"
	"errors"
)

// RegisterConfigured makes the rule what begin returns for the operator's configuration, which is decoded into C from JSON. A
// member that C does not have is refused, except for match, regex and lists: those are the host's, which leaves in them what
// is not a list. An error of begin refuses the configuration.
func RegisterConfigured[C any](begin func(config C) (func(item Item) Verdict, error)) {
	start = func(config []byte) error {
		var c C
		if err := decode(config, &c); err != nil {
			return err
		}
		f, err := begin(c)
		if err == nil && f == nil {
			err = errors.New("the rule has no function")
		}
		judge = f
		return err
	}
}

func decode(config []byte, c any) error {
	if len(config) == 0 {
		return nil
	}
	own := map[string]json.RawMessage{}
	if err := json.Unmarshal(config, &own); err != nil {
		return err
	}
	for _, name := range [...]string{"match", "regex", "lists"} {
		delete(own, name)
	}
	rest, err := json.Marshal(own)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(rest))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return err
	}
	return json.Unmarshal(config, c)
}
