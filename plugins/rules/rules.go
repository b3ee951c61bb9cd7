// Package rules holds the built-in rules: modules in C against ticketing.h, each with its manifest and the configuration that
// it starts with. What the rules look for and how they are set is in the README.md beside each; build.sh makes the modules.
package rules

import (
	"embed"

	"ticketing"
)

// A Rule is a built-in module.
type Rule struct {
	Name   string
	Module []byte
	Config []byte // JSON, the default
	Active bool   // whether it judges in a new cluster; the others are registered, for operators to activate
}

//go:embed */*.wasm */config.json
var files embed.FS

// Builtin returns the built-in rules in the order in which they are asked. Nobody may change their bytes.
func Builtin() []Rule {
	return []Rule{
		builtin("blocklist", true), builtin("spam", true),
		builtin("links", false), builtin("repeat", false), builtin("velocity", false),
	}
}

// ConfigOf returns the configuration that the built-in rule with a module's digest comes with, nil if there is no such rule.
func ConfigOf(module ticketing.Digest) []byte {
	for _, b := range Builtin() {
		if ticketing.DigestOf(b.Module) == module {
			return b.Config
		}
	}
	return nil
}

func builtin(name string, active bool) Rule {
	return Rule{Name: name, Module: file(name + "/" + name + ".wasm"), Config: file(name + "/config.json"), Active: active}
}

// file returns an embedded file; that it is there is checked when the package is built and tested.
func file(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic("rules: " + err.Error())
	}
	return b
}
