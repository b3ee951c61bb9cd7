// Package rules holds the built-in rules: modules in C against ticketing.h, and the configuration that each starts with.
// What the rules look for and how they are set is in the README.md beside each; build.sh makes the modules.
package rules

import _ "embed"

// A Rule is a built-in module.
type Rule struct {
	Name   string
	Module []byte
	Config []byte // JSON, the default
}

//go:embed blocklist/blocklist.wasm
var blocklistModule []byte

//go:embed blocklist/config.json
var blocklistConfig []byte

//go:embed spam/spam.wasm
var spamModule []byte

//go:embed spam/config.json
var spamConfig []byte

// Builtin returns the built-in rules in the order in which they are asked. Nobody may change their bytes.
func Builtin() []Rule {
	return []Rule{
		{Name: "blocklist", Module: blocklistModule, Config: blocklistConfig},
		{Name: "spam", Module: spamModule, Config: spamConfig},
	}
}
