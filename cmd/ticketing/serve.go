package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ticketing/config"
	"ticketing/internal/node"
)

// stopTimeout bounds a clean stop. It is longer than a reply may take to a client that reads nothing (gateway.Config.WriteTimeout).
const stopTimeout = 25 * time.Second

func (a *app) serve() *cobra.Command {
	var file string
	c := &cobra.Command{Use: "serve", Short: "Run the server", Args: between(0, 0)}
	c.Flags().StringVar(&file, "config", "", "YAML file with settings; flags and environment win over it")
	configFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(file, os.Environ(), c.Flags())
		if err != nil {
			return err
		}
		// The first signal asks for a clean stop; after it the default is back, so a second one ends the process at once.
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop)
		return a.runServer(ctx, cfg)
	}
	return c
}

// configFlags adds a flag for every setting but the secrets. Names are the config's keys.
func configFlags(f *pflag.FlagSet) {
	d := config.Default()
	f.String("data", d.Data, "directory that holds everything the node stores")
	f.Bool("dev", d.Dev, "plain HTTP on loopback; creates a cluster of one node in an empty data directory")
	f.String("http", d.HTTP, "address of pages and API, host:port (default 127.0.0.1:8080 with --dev, :8443 otherwise)")
	f.String("admin", d.Admin, "loopback address of metrics and profiles, host:port")
	f.StringSlice("hosts", d.Hosts, "values of the Host header that are answered (default: the certificate's names)")
	f.String("tls.cert", d.TLSCert, "PEM file of the certificate chain (default: made at the first start)")
	f.String("tls.key", d.TLSKey, "PEM file of the certificate's key")
	f.String("tls.min", d.TLSMin, "lowest version of TLS: 1.2 or 1.3")
	f.StringSlice("acme.hosts", d.ACMEHosts, "DNS names to get certificates for by ACME")
	f.String("acme.email", d.ACMEEmail, "where the certificate authority writes when something is wrong")
	f.String("acme.directory", d.ACMEDirectory, "URL of the ACME directory (default: Let's Encrypt)")
	f.String("redirect", d.Redirect, "address of a plain HTTP listener that sends pages to HTTPS, host:port")
	f.StringSlice("proxies", d.Proxies, "networks (CIDR) of proxies in front, whose X-Forwarded headers are believed")
	f.Float64("limits", d.Limits, "scale of the rate limits; 0: none but the back-off after wrong passwords")
	f.String("trace.endpoint", d.TraceEndpoint, "URL of an OpenTelemetry collector (OTLP over HTTP)")
	f.Float64("trace.ratio", d.TraceRatio, "part of the requests that is traced, 0 to 1")
	f.Bool("access", d.Access, "log every request")
	f.Int("shards", d.Shards, "shards of every service, fixed when the cluster is created; 0: 4 on up to four cores, else 8")
	f.String("node.id", d.NodeID, "name of this node in the cluster, such as n1")
	f.String("cluster.listen", d.ClusterListen, "address where other nodes connect, host:port; without it the node is alone")
	f.String("cluster.advertise", d.ClusterAdvertise, "address where other nodes reach this one (default: cluster.listen)")
	f.StringSlice("cluster.join", d.ClusterJoin, "addresses of nodes of the cluster to join, host:port")
	f.Int("cluster.move_rate", d.ClusterMoveRate, "MB a second that this node sends to others as copies, at most")
	f.Int("cluster.replication", d.ClusterReplication, "voting replicas of every shard, where there are enough nodes: 1, 3 or 5")
	f.String("cluster.ca", d.ClusterCA, "PEM file of the cluster's authority")
	f.String("cluster.cert", d.ClusterCert, "PEM file of this node's certificate in the cluster")
	f.String("cluster.key", d.ClusterKey, "PEM file of the certificate's key; the token to join with is cluster.token in the config file, or TICKETING_CLUSTER_TOKEN")
	f.Int("cache", d.Cache, "block cache of all databases, MiB")
	f.Int("memtable", d.MemTable, "memtable of one database, MiB")
	f.Int("memory", d.Memory, "soft limit on the Go heap, MiB; 0: none")
	f.Duration("retention", d.Retention, "how long events are kept at least")
	f.Int("queue", d.Queue, "requests that wait for one shard at most")
	f.Int("connections", d.Connections, "open HTTP connections at most")
	f.String("smtp.from", d.SMTPFrom, "sender of mails; the server and its password are smtp.url in the config file, or TICKETING_SMTP_URL")
	f.String("public.url", d.PublicURL, "what links in mails begin with, such as https://example.org")
	f.Bool("signup.strict", d.SignUpStrict, "a sign-up does not tell whether the e-mail has an account")
	f.Int("password.min", d.PasswordMin, "characters of a new password at least, 8 to 15")
	f.Bool("rules.signed", d.RulesSigned, "every rule takes only versions with a signature of a known key; the same on all nodes")
	f.Int("rules.module_size", d.RulesModuleSize, "KiB of an uploaded module at most, 64 to 16384")
	f.String("log", d.Log, "lowest level that is logged: debug, info, warn or error")
}

// runServer serves until ctx ends, and then stops cleanly. The limit on open files needs no care: the Go runtime raises it by itself.
func (a *app) runServer(ctx context.Context, cfg config.Config) error {
	if os.Getenv("GOGC") == "" {
		// Most memory is the databases' and not the collector's business: letting the small heap grow by more costs some 60 MiB and saves a
		// tenth of the processor time under load.
		debug.SetGCPercent(220)
	}
	if cfg.Memory > 0 {
		debug.SetMemoryLimit(int64(cfg.Memory) << 20)
	}
	log := a.logger(cfg)
	// Listening comes first: a port in use must not cost a recovery.
	ln, err := listen("http", cfg.Address())
	if err != nil {
		return err
	}
	defer ln.Close()
	var admin net.Listener
	if cfg.Admin != "" {
		if admin, err = listen("admin", cfg.Admin); err != nil {
			return err
		}
		defer admin.Close()
	}
	var plain net.Listener
	if cfg.Redirect != "" {
		if plain, err = listen("redirect", cfg.Redirect); err != nil {
			return err
		}
		defer plain.Close()
	}
	n, err := node.Open(ctx, cfg, a.nodeOptions(cfg))
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped while starting")
		}
		return err
	}
	if fingerprint, authority := n.SelfSigned(); fingerprint != "" {
		fmt.Fprintf(a.err, "self-signed certificate, SHA-256 %s; browsers that trust %s do not warn\n", fingerprint, authority)
	}
	failed := make(chan error, 3)
	go func() { failed <- n.Serve(ln) }()
	if admin != nil {
		go func() { failed <- serveAdmin(admin, n) }()
	}
	if plain != nil {
		go func() { failed <- serveRedirect(plain, n) }()
	}
	fmt.Fprintf(a.err, "listening on %s\n", n.URL(ln.Addr()))
	if link := n.SetupLink(n.URL(ln.Addr())); link != "" {
		fmt.Fprintf(a.err, "there is no operator yet; make one at %s\n", link)
	}
	go n.Warm(ctx)
	defer onHangup(n.Reload)()
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-failed:
	}
	deadline, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return errors.Join(err, n.Close(deadline))
}

// fatal ends the process: after a storage error nothing may run that could acknowledge or flush. The first error says why; others follow from it.
func (a *app) fatal(err error) {
	a.ending.Lock()
	fmt.Fprintln(a.err, "ticketing: "+oneLine(err))
	os.Exit(1)
}

// logger writes text for people with --dev, JSON otherwise.
func (a *app) logger(cfg config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log)) // checked by Config.Validate
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Dev {
		return slog.New(slog.NewTextHandler(a.err, opts))
	}
	return slog.New(slog.NewJSONHandler(a.err, opts))
}

func listen(key, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use; is another server running?", key, address)
	case err != nil:
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", key, address, err)
	}
	return ln, nil
}
