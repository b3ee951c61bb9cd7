package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"

	"ticketing"
	"ticketing/client"
	"ticketing/config"
	"ticketing/internal/node"
)

// local is a node in this process, on a free port of loopback, with an operator who is signed in.
type local struct {
	url    string
	api    *client.Client
	node   *node.Node
	remove string // a directory that goes away with the node
	served chan error
}

// openLocal starts a node on a data directory; on a temporary one if dir is empty.
func (a *app) openLocal(ctx context.Context, dir string) (l *local, err error) {
	l = &local{served: make(chan error, 1)}
	defer func() {
		if err != nil {
			_ = l.close()
		}
	}()
	if dir == "" {
		if dir, err = os.MkdirTemp("", "ticketing-"); err != nil {
			return nil, err
		}
		l.remove = dir
	}
	ln, err := listen("http", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	cfg := config.Default()
	cfg.Dev, cfg.Data, cfg.HTTP, cfg.Log = true, dir, ln.Addr().String(), "error"
	if l.node, err = node.Open(ctx, cfg, a.nodeOptions(cfg)); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	go func() { l.served <- l.node.Serve(ln) }()
	l.url = "http://" + cfg.HTTP
	if l.api, err = client.New(l.url, client.Options{}); err != nil {
		return nil, err
	}
	// A new operator each time: an old directory has others, whose passwords nobody knows here.
	email, password := "local-"+rand.Text()+"@example.org", rand.Text()
	if _, err = l.node.CreateUser(ctx, email, "Local operator", password, ticketing.RoleOperator); err != nil {
		return nil, err
	}
	return l, l.api.SignIn(ctx, email, password)
}

func (l *local) close() error {
	var errs []error
	if l.node != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		errs = append(errs, l.node.Close(ctx))
	}
	if l.remove != "" {
		errs = append(errs, os.RemoveAll(l.remove))
	}
	return errors.Join(errs...)
}
