package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ticketing/config"
	"ticketing/internal/clusterconfig"
)

func (a *app) clusterAdd() *cobra.Command {
	var file, dir, out string
	var life time.Duration
	c := &cobra.Command{Use: "add NODE", Short: "Make the config of a further node, with its certificate and a token to join", Args: between(1, 1),
		Long: `Prints a complete config for a node with that name. It holds the node's key and a token with which the node can join once, so it
is as secret as they are. Nothing is asked of the cluster: the node is a member when it has been started with this config. For a node
that was removed, the same command makes a new config.

Every setting of serve can be given, as a flag or in a file, and goes into the config.`,
		Example: `  ticketing cluster add n2 --dir keys --advertise 10.0.0.2:7000 --data /var/lib/ticketing --out n2.yaml
  ticketing cluster add n2 --dir keys --config n2-settings.yaml --out n2.yaml`}
	c.Flags().StringVar(&file, "config", "", "YAML file with settings of the node; flags win over it")
	c.Flags().StringVar(&dir, "dir", "", "directory with the cluster's authority, which cluster init made")
	c.Flags().StringVar(&out, "out", "", "file to write, which must not be there yet (default: standard output)")
	c.Flags().DurationVar(&life, "token-life", 24*time.Hour, "how long the node has to join")
	memberFlags(c)
	c.Flags().Lookup("cluster.join").Usage = "addresses of nodes of the cluster, host:port (default: those of the configs in --dir)"
	c.RunE = func(c *cobra.Command, args []string) error {
		authority, err := openAuthority(dir)
		if err != nil {
			return err
		}
		name := args[0]
		token, err := authority.Token(name, life, time.Now())
		if err != nil {
			return err
		}
		// Nothing is taken from the environment: it is this machine's, and not the node's.
		cfg, err := config.Read(file, nil, c.Flags())
		if err != nil {
			return err
		}
		if cfg.NodeID != "" && cfg.NodeID != name {
			return fmt.Errorf("the settings are those of the node %s, and not of %s", cfg.NodeID, name)
		}
		cfg.NodeID, cfg.ClusterToken = name, token
		if len(cfg.ClusterJoin) == 0 {
			if cfg.ClusterJoin, err = clusterconfig.Addresses(dir, name); err != nil {
				return err
			}
			if len(cfg.ClusterJoin) == 0 {
				return fmt.Errorf("no config in %s says where a node is; name one of the cluster's with --join HOST:PORT", dir)
			}
		}
		if err := certify(authority, &cfg); err != nil {
			return err
		}
		text, err := clusterconfig.Render(cfg, fmt.Sprintf("The node %s of the cluster %s. This file holds the node's key and a token to join with once, until %s: keep it secret.",
			name, authority.Cluster(), time.Now().Add(life).UTC().Format(time.RFC3339)))
		if err != nil {
			return err
		}
		return a.hand(out, text)
	}
	return c
}

func (a *app) clusterRenew() *cobra.Command {
	var dir, out string
	var asPEM bool
	c := &cobra.Command{Use: "renew NODE", Short: "Make a new certificate and key for a node", Args: between(1, 1),
		Long: `Prints the certificate and key in the form of the node's config, in which they take the place of those that are there. With --pem it
prints one file that cluster.cert and cluster.key can both name; a running node takes such a file up when it changes.`}
	c.Flags().StringVar(&dir, "dir", "", "directory with the cluster's authority, which cluster init made")
	c.Flags().StringVar(&out, "out", "", "file to write, which must not be there yet (default: standard output)")
	c.Flags().BoolVar(&asPEM, "pem", false, "print PEM")
	c.RunE = func(_ *cobra.Command, args []string) error {
		authority, err := openAuthority(dir)
		if err != nil {
			return err
		}
		id, err := authority.Certify(args[0], time.Now())
		if err != nil {
			return err
		}
		text := []byte(id.Cert + id.Key)
		if !asPEM {
			if text, err = clusterconfig.RenderIdentity(id, "A new certificate and key of the node "+args[0]+" of the cluster "+authority.Cluster()+": keep it secret."); err != nil {
				return err
			}
		}
		return a.hand(out, text)
	}
	return c
}

func openAuthority(dir string) (*clusterconfig.Authority, error) {
	if dir == "" {
		return nil, errors.New("say where the cluster's authority is: --dir DIR, as at cluster init")
	}
	return clusterconfig.Open(dir)
}

// hand writes what holds a secret: into a new file for this user alone, or to standard output.
func (a *app) hand(path string, text []byte) error {
	if path != "" {
		return clusterconfig.WriteNew(path, text, 0o600)
	}
	_, err := a.out.Write(text)
	return err
}
