package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ticketing/config"
	"ticketing/internal/backup"
	"ticketing/internal/node"
)

func (a *app) backup() *cobra.Command {
	var r remote
	var keys, fromStdin, asJSON bool
	c := &cobra.Command{Use: "backup OUT", Short: "Back a running cluster up, into a directory or a file that ends with .tar.zst", Args: between(1, 1),
		Long: `Everything that was acknowledged before the backup began is in it; the cluster goes on meanwhile. The keys that sign sessions are left out,
unless --keys is given: then they are in it, encrypted with a passphrase, and sessions outlive a restore.`}
	r.flags(c)
	c.Flags().BoolVar(&keys, "keys", false, "with the cluster's keys, encrypted with a passphrase")
	c.Flags().BoolVar(&fromStdin, "passphrase-stdin", false, "read the passphrase from standard input")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		var courier *backup.Courier
		if keys {
			p, err := a.newPassphrase(fromStdin)
			if err != nil {
				return err
			}
			if courier, err = backup.NewCourier(p); err != nil {
				return err
			}
		}
		return a.takeBackup(c.Context(), &r, args[0], courier, asJSON)
	}
	c.AddCommand(a.backupVerify())
	return c
}

// takeBackup makes a backup; what there is of one that fails is removed.
func (a *app) takeBackup(ctx context.Context, r *remote, path string, courier *backup.Courier, asJSON bool) error {
	api, err := r.connect(ctx)
	if err != nil {
		return err
	}
	recipient := ""
	if courier != nil {
		recipient = courier.Recipient()
	}
	began := time.Now()
	out, err := backup.Create(path)
	if err != nil {
		return err
	}
	body, err := api.Backup(ctx, recipient)
	if err != nil {
		return errors.Join(err, out.Discard())
	}
	bar := a.progressBytes("backing up")
	m, err := backup.Receive(body, out, courier, bar.show)
	bar.done()
	_ = body.Close() // it was read whole, or is not needed
	if err != nil {
		return errors.Join(fmt.Errorf("%w; the node's log may say why", err), out.Discard())
	}
	if asJSON {
		return a.json(backupView(path, m))
	}
	_, err = fmt.Fprintf(a.out, "backed up %d shards, %s, in %.1f s: %s\n", len(m.Cuts), size(m.Bytes()), time.Since(began).Seconds(), path)
	return err
}

func (a *app) backupVerify() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "verify IN", Short: "Check a backup: that all of it is there, undamaged, and belongs together", Args: between(1, 1)}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		bar := a.progressBytes("verifying")
		b, err := backup.Verify(c.Context(), args[0], bar.show)
		bar.done()
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(backupView(args[0], b.Manifest))
		}
		m := &b.Manifest
		_, err = fmt.Fprintf(a.out, "ok: %d shards, %s, %d events, %s, made %s by version %s\n", len(m.Cuts), size(m.Bytes()), b.Events(), withKeys(m.Keys != nil),
			m.Created.Format(time.RFC3339), m.Version)
		return err
	}
	return c
}

func withKeys(with bool) string {
	if with {
		return "with keys"
	}
	return "without keys"
}

// backupView is a backup in JSON.
func backupView(path string, m backup.Manifest) any {
	return struct {
		Path    string    `json:"path"`
		Cluster string    `json:"cluster"`
		Created time.Time `json:"created"`
		Version string    `json:"version"`
		Shards  int       `json:"shards"`
		Cuts    int       `json:"cuts"`
		Bytes   int64     `json:"bytes"`
		Keys    bool      `json:"keys"`
	}{path, m.Cluster, m.Created, m.Version, m.Shards, len(m.Cuts), m.Bytes(), m.Keys != nil}
}

// restoreOptions are the flags of restore.
type restoreOptions struct {
	file, node            string
	keys, fromStdin, json bool
}

func (a *app) restore() *cobra.Command {
	var o restoreOptions
	c := &cobra.Command{Use: "restore IN --data DIR", Short: "Make the first node of a new cluster from a backup", Args: between(1, 1),
		Long: `The data directory is empty, or was made by cluster init. Other nodes join the new cluster as they would join any other. With
another number of shards everything that was under way is delivered first, on a node in this process that nobody reaches.`}
	f := c.Flags()
	f.String("data", config.Default().Data, "the new node's data directory")
	f.Int("shards", 0, "shards of every service, a power of two; 0: as many as before")
	f.StringVar(&o.node, "node", "", "the new node's name (default n1, or node.id of the config)")
	f.StringVar(&o.file, "config", "", "YAML file with the new node's settings")
	f.BoolVar(&o.keys, "keys", false, "restore the cluster's keys too; asks for their passphrase")
	f.BoolVar(&o.fromStdin, "passphrase-stdin", false, "read the passphrase from standard input")
	f.BoolVar(&o.json, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := config.Load(o.file, os.Environ(), c.Flags())
		if err != nil {
			return err
		}
		if o.node != "" {
			cfg.NodeID = o.node
		}
		if err := cfg.Validate(); err != nil {
			return err
		}
		return a.runRestore(c.Context(), cfg, args[0], o)
	}
	return c
}

func (a *app) runRestore(ctx context.Context, cfg config.Config, path string, o restoreOptions) (err error) {
	r := node.Restoration{Shards: cfg.Shards}
	if o.keys {
		if r.Passphrase, err = a.passphrase(o.fromStdin); err != nil {
			return err
		}
	}
	var bar bytesBar
	step := ""
	r.Progress = func(s string, p backup.Progress) {
		if s != step {
			bar.done()
			step, bar = s, a.progressBytes(s)
		}
		bar.show(p)
	}
	began := time.Now()
	cfg.Log = "error"
	out, err := node.Restore(ctx, cfg, path, r, a.nodeOptions(cfg))
	bar.done()
	if err != nil {
		return err
	}
	if o.json {
		return a.json(struct {
			Data    string `json:"data"`
			Cluster string `json:"cluster"`
			Node    string `json:"node"`
			Shards  int    `json:"shards"`
			Epoch   uint64 `json:"epoch"`
			Bytes   int64  `json:"bytes"`
			Keys    bool   `json:"keys"`
		}{cfg.Data, out.Cluster, out.Node, out.Shards, out.Epoch, out.Backup.Bytes(), out.Keys})
	}
	ended := "everybody signs in again"
	if out.Keys {
		ended = "sessions go on"
	}
	_, err = fmt.Fprintf(a.out, "restored %s into %s in %.1f s: cluster %s, node %s, %d shards; %s\n", size(out.Backup.Bytes()), cfg.Data,
		time.Since(began).Seconds(), out.Cluster, out.Node, out.Shards, ended)
	return err
}

// passphrase reads one: a line of standard input, or from a terminal without echo.
func (a *app) passphrase(fromStdin bool) (string, error) {
	if fromStdin {
		line, err := bufio.NewReader(io.LimitReader(a.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("passphrase: %w", err)
		}
		return checkPassphrase(strings.TrimRight(line, "\r\n"))
	}
	fd, ok := terminal(a.in)
	if !ok {
		return "", errors.New("passphrase: standard input is not a terminal; use --passphrase-stdin")
	}
	p, err := a.secret(fd, "Passphrase: ")
	if err != nil {
		return "", err
	}
	return checkPassphrase(p)
}

// newPassphrase reads one that somebody has just thought of: twice, from a terminal.
func (a *app) newPassphrase(fromStdin bool) (string, error) {
	p, err := a.passphrase(fromStdin)
	if fd, ok := terminal(a.in); err == nil && ok && !fromStdin {
		var again string
		if again, err = a.secret(fd, "Again: "); err == nil && again != p {
			err = errors.New("passphrase: the two are not the same")
		}
	}
	return p, err
}

// minPassphrase is short; scrypt makes guessing slow.
const minPassphrase = 10

func checkPassphrase(p string) (string, error) {
	if len([]rune(p)) < minPassphrase {
		return "", fmt.Errorf("passphrase: it must have at least %d characters", minPassphrase)
	}
	return p, nil
}

// bytesBar shows how many bytes of a backup were moved.
type bytesBar struct {
	progress
	shown bool
}

func (a *app) progressBytes(what string) bytesBar {
	return bytesBar{a.progress(-1, what, "KiB"), true}
}

func (b bytesBar) show(p backup.Progress) {
	if b.shown {
		b.set(int(p.Bytes >> 10))
	}
}

func (b bytesBar) done() {
	if b.shown {
		b.progress.done()
	}
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1023)/1024)
}
