package main

import (
	"fmt"
	"os"
	"reflect"

	"github.com/spf13/cobra"

	"ticketing/config"
)

func (a *app) config() *cobra.Command {
	return group("config", "Check and print the settings", a.configCheck(), a.configPrint())
}

func (a *app) configCheck() *cobra.Command {
	var file string
	c := &cobra.Command{Use: "check", Short: "Say whether the settings are valid", Args: between(0, 0)}
	c.Flags().StringVar(&file, "config", "", "YAML file with settings")
	c.RunE = func(*cobra.Command, []string) error {
		if _, err := config.Load(file, os.Environ(), nil); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.out, "ok")
		return err
	}
	return c
}

func (a *app) configPrint() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{Use: "print", Short: "Print the settings as they apply, without secrets", Args: between(0, 0)}
	c.Flags().StringVar(&file, "config", "", "YAML file with settings")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(*cobra.Command, []string) error {
		cfg, err := config.Load(file, os.Environ(), nil)
		if err != nil {
			return err
		}
		keys, values := settings(cfg.Redacted())
		if asJSON {
			return a.json(values)
		}
		rows := make([][]string, len(keys))
		for i, k := range keys {
			rows[i] = []string{k + ":", fmt.Sprint(values[k])}
		}
		return a.table(nil, rows)
	}
	return c
}

// settings returns the config by key, durations as text.
func settings(cfg config.Config) (keys []string, values map[string]any) {
	keys, values = config.Keys(), map[string]any{}
	v := reflect.ValueOf(cfg)
	for i, k := range keys {
		values[k] = v.Field(i).Interface()
		if d, ok := values[k].(fmt.Stringer); ok {
			values[k] = d.String()
		}
	}
	return keys, values
}
