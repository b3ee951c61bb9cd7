// Command ticketing is the whole product as one binary: the server, and the tools that talk to it or to its data directory.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"ticketing"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code. Errors are one line on stderr.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{in: stdin, out: stdout, err: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return 0
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintln(stderr, "ticketing: "+oneLine(err))
	}
	if errors.As(err, new(errInterrupted)) {
		return exitInterrupted
	}
	return 1
}

// app is what every command shares: where it reads and writes.
type app struct {
	in       io.Reader
	out, err io.Writer
	ending   sync.Mutex // locked for good by what ends the process
}

// errReported ends a command with exit code 1 whose faults were printed already.
var errReported = errors.New("reported")

// errInterrupted ends a command that a Ctrl-C has ended, with what became of its work.
type errInterrupted string

func (e errInterrupted) Error() string { return string(e) }

// exitInterrupted is the exit code by which shells tell that: 128 and the number of the signal.
const exitInterrupted = 130

func (a *app) root() *cobra.Command {
	root := group("ticketing", "A discussion backend whose moderation rules are WebAssembly plugins",
		a.serve(), a.cluster(), a.config(), a.user(), a.keys(), a.plugin(), a.decision(), a.imports(), a.backup(), a.restore(), a.demo(), a.bench(),
		a.openapi(), a.version(), a.compile())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, c.CommandPath())
	})
	return root
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("there is no command %q; see %s --help", args[0], c.CommandPath())
		}
		return c.Help()
	}}
	c.AddCommand(commands...)
	return c
}

// between checks the number of arguments, and answers a wrong one with the command's usage. A negative hi means any number.
func between(lo, hi int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < lo || hi >= 0 && len(args) > hi {
			return fmt.Errorf("usage: %s", c.UseLine())
		}
		return nil
	}
}

// oneLine is an error for people, on one line.
func oneLine(err error) string {
	text := err.Error()
	var e *ticketing.Error
	if errors.As(err, &e) && e.Msg != "" {
		text = e.Msg
		for _, f := range e.Fields {
			text += " " + f.Message
		}
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}
