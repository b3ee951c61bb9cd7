package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ticketing"
	"ticketing/config"
	"ticketing/internal/node"
)

func (a *app) user() *cobra.Command {
	return group("user", "Manage accounts in a data directory", a.userCreate())
}

// userOptions are the flags of user create.
type userOptions struct {
	file, email, name, role string
	fromStdin, json         bool
}

func (a *app) userCreate() *cobra.Command {
	var o userOptions
	c := &cobra.Command{Use: "create --email E --name N", Short: "Create an account while the server is stopped", Args: between(0, 0)}
	f := c.Flags()
	f.String("data", config.Default().Data, "the node's data directory")
	f.StringVar(&o.file, "config", "", "YAML file with settings")
	f.StringVar(&o.email, "email", "", "e-mail address")
	f.StringVar(&o.name, "name", "", "display name")
	f.StringVar(&o.role, "role", "", "moderator or operator; none: an ordinary user")
	f.BoolVar(&o.fromStdin, "password-stdin", false, "read the password from standard input")
	f.BoolVar(&o.json, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(o.file, os.Environ(), c.Flags())
		if err != nil {
			return err
		}
		return a.createUser(c.Context(), cfg, o)
	}
	return c
}

func (a *app) createUser(ctx context.Context, cfg config.Config, o userOptions) error {
	// Everything that can be wrong is found before the directory is opened.
	roles, err := o.check()
	if err != nil {
		return err
	}
	if _, err := os.Stat(cfg.Data); err != nil {
		return fmt.Errorf("data: there is no directory %s; start the server once with --dev", cfg.Data)
	}
	password, err := a.newPassword(o.fromStdin)
	if err != nil {
		return err
	}
	cfg.OperatorEmail, cfg.OperatorPassword = "", "" // this command makes the account that it was asked for, and no other
	cfg.Log = "error"
	if len(cfg.Hosts) == 0 {
		cfg.Hosts = []string{"localhost"} // nothing is served here, but a node insists
	}
	n, err := node.Open(ctx, cfg, a.nodeOptions(cfg))
	if err != nil {
		return fmt.Errorf("%w (if a server runs on it, stop it first, or use its API)", err)
	}
	u, err := n.CreateUser(ctx, o.email, o.name, password, roles)
	if err == nil && roles.Has(ticketing.RoleOperator) {
		err = n.OperatorExists(ctx)
	}
	if err = errors.Join(err, n.Close(ctx)); err != nil {
		return err
	}
	if o.json {
		return a.json(map[string]any{"id": u.ID, "email": u.Email, "name": u.Name, "roles": u.Roles.Names(), "createdAt": u.CreatedAt})
	}
	_, err = fmt.Fprintf(a.out, "created %s (%s), %s\n", u.Email, strings.Join(u.Roles.Names(), ", "), u.ID)
	return err
}

// check reports what is wrong with the flags, and returns the roles.
func (o userOptions) check() (ticketing.Roles, error) {
	if _, err := ticketing.NormalizeEmail(o.email); err != nil {
		return 0, err
	}
	if err := ticketing.CheckName(o.name); err != nil {
		return 0, err
	}
	if o.role == "" {
		return ticketing.RoleUser, nil
	}
	return ticketing.ParseRoles([]string{o.role})
}

// newPassword reads a password: one line of standard input, or twice from a terminal without echo.
func (a *app) newPassword(fromStdin bool) (string, error) {
	if fromStdin {
		line, err := bufio.NewReader(io.LimitReader(a.in, 4*ticketing.MaxPassword+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("password: %w", err)
		}
		return checkPassword(strings.TrimRight(line, "\r\n"))
	}
	fd, ok := terminal(a.in)
	if !ok {
		return "", errors.New("password: standard input is not a terminal; use --password-stdin")
	}
	first, err := a.secret(fd, "Password: ")
	if err != nil {
		return "", err
	}
	if _, err := checkPassword(first); err != nil {
		return "", err
	}
	again, err := a.secret(fd, "Again: ")
	if err == nil && again != first {
		err = errors.New("password: the two are not the same")
	}
	return first, err
}

func (a *app) secret(fd int, prompt string) (string, error) {
	fmt.Fprint(a.err, prompt)
	b, err := term.ReadPassword(fd)
	fmt.Fprintln(a.err)
	return string(b), err
}

func checkPassword(p string) (string, error) {
	if n := len([]rune(p)); n < ticketing.MinPassword || n > ticketing.MaxPassword {
		return "", fmt.Errorf("password: it must have %d to %d characters", ticketing.MinPassword, ticketing.MaxPassword)
	}
	return p, nil
}
