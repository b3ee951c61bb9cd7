package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) keys() *cobra.Command {
	return group("keys", "Manage the keys that sign sessions", a.keysRotate())
}

func (a *app) keysRotate() *cobra.Command {
	var r remote
	var asJSON bool
	c := &cobra.Command{Use: "rotate", Short: "Sign with a new key; those before are accepted while their tokens live", Args: between(0, 0)}
	r.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := r.connect(c.Context())
		if err != nil {
			return err
		}
		kid, err := api.RotateKeys(c.Context())
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(map[string]any{"kid": kid})
		}
		_, err = fmt.Fprintf(a.out, "the signing key is %s\n", kid)
		return err
	}
	return c
}
