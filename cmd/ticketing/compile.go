package main

import (
	"os"

	"github.com/spf13/cobra"

	"ticketing/config"
	"ticketing/internal/node"
	"ticketing/plugins/compile"
)

// compile is the command by which a server compiles a module in a process of its own. It is not for people.
func (a *app) compile() *cobra.Command {
	c := &cobra.Command{Use: "compile DIRECTORY", Short: "Compile a module from standard input into a directory", Hidden: true, Args: between(1, 1)}
	c.RunE = func(_ *cobra.Command, args []string) error {
		if code := compile.Child(args, a.in, a.out, a.err); code != 0 {
			os.Exit(code) // it says more than that there was an error
		}
		return nil
	}
	return c
}

// nodeOptions are those of every node that this program opens.
func (a *app) nodeOptions(cfg config.Config) node.Options {
	opts := node.Options{Log: a.logger(cfg), Fatal: a.fatal, Version: readBuild().Version}
	if self, err := os.Executable(); err == nil { // else modules are compiled in this process
		opts.Compile = []string{self, a.compile().Name()}
	}
	return opts
}
