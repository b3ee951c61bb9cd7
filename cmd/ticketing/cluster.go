package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ticketing/config"
	"ticketing/internal/clusterconfig"
	"ticketing/internal/node"
)

func (a *app) cluster() *cobra.Command {
	return group("cluster", "Make a cluster, and manage its nodes", a.clusterInit(), a.clusterAdd(), a.clusterRenew(), a.clusterStatus(),
		a.clusterDrain(), a.clusterUndrain(), a.clusterRemove(), a.clusterUpgrade(), a.clusterRecover())
}

// shortNames are what the cluster's settings are also called where they are given often.
var shortNames = map[string]string{"node": "node.id", "listen": "cluster.listen", "advertise": "cluster.advertise", "join": "cluster.join"}

// memberFlags adds a flag for every setting, and the short names.
func memberFlags(c *cobra.Command) {
	configFlags(c.Flags())
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if long, ok := shortNames[name]; ok {
			name = long
		}
		return pflag.NormalizedName(name)
	})
}

func (a *app) clusterInit() *cobra.Command {
	var file, dir string
	var existing bool
	c := &cobra.Command{Use: "init", Short: "Create a cluster of one node in an empty data directory", Args: between(0, 0),
		Long: `A node never begins a cluster by itself, so that a lost disk is noticed. With --dev, serve creates one.

With --dir, this also makes the cluster's authority and the first node's config in that directory, so that further nodes can be
added: ca.pem, ca.key (whoever has it can add nodes; no node needs it) and NODE.yaml, with which the node is served. With --existing, too,
the node that is in the data directory already and was alone so far becomes the first one; its data stay as they are.`,
		Example: `  ticketing cluster init --data data
  ticketing cluster init --dir keys --node n1 --advertise 10.0.0.1:7000 --data /var/lib/ticketing
  ticketing cluster init --dir keys --config n1-settings.yaml`}
	c.Flags().StringVar(&file, "config", "", "YAML file with settings; flags and environment win over it")
	c.Flags().StringVar(&dir, "dir", "", "directory for the cluster's authority and the first node's config; without it the node stays alone")
	c.Flags().BoolVar(&existing, "existing", false, "the data directory holds a node, which gets an authority and a config to be served with from now on")
	memberFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case existing && dir == "":
			return errors.New("say where the authority is to be: --dir DIR")
		case existing:
			return a.extendNode(c.Flags(), file, dir)
		case dir != "":
			return a.foundCluster(c.Flags(), file, dir)
		}
		cfg, err := config.Load(file, os.Environ(), c.Flags())
		if err != nil {
			return err
		}
		id, err := clusterconfig.ClusterOf(cfg)
		if err != nil {
			return err
		}
		shards, err := node.InitCluster(cfg, id, a.logger(cfg), a.fatal)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "created a cluster with %d shards in %s\n", shards, cfg.Data)
		return err
	}
	return c
}

// foundCluster makes the authority, the config of the first node, and its data.
func (a *app) foundCluster(flags *pflag.FlagSet, file, dir string) error {
	authority, err := clusterconfig.Found(clusterconfig.NewID(), time.Now())
	if err != nil {
		return err
	}
	cfg, err := config.Read(file, os.Environ(), flags)
	if err != nil {
		return err
	}
	if cfg.NodeID == "" {
		cfg.NodeID = "n1"
	}
	if err := certify(authority, &cfg); err != nil {
		return err
	}
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return err
	}
	undo, err := authority.Save(dir, cfg)
	if err != nil {
		return err
	}
	shards, err := node.InitCluster(cfg, authority.Cluster(), a.logger(cfg), a.fatal)
	if err != nil {
		undo()
		return err
	}
	path := clusterconfig.ConfigPath(dir, cfg.NodeID)
	_, err = fmt.Fprintf(a.out, "created the cluster %s with %d shards in %s\nits authority is in %s: keep ca.key safe, and not on a node\n"+
		"start the node:   ticketing serve --config %s\nadd another one:  ticketing cluster add n2 --dir %s --advertise HOST:PORT\n",
		authority.Cluster(), shards, cfg.Data, dir, path, dir)
	return err
}

// extendNode makes the authority of the cluster that a node has been alone in so far, and the node's config. The data are not touched.
func (a *app) extendNode(flags *pflag.FlagSet, file, dir string) error {
	cfg, err := config.Read(file, os.Environ(), flags)
	if err != nil {
		return err
	}
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return err
	}
	e, err := node.ReadExisting(cfg)
	if err != nil {
		return err
	}
	if e.Cluster == "" {
		e.Cluster = clusterconfig.NewID()
	}
	authority, err := clusterconfig.Found(e.Cluster, time.Now())
	if err != nil {
		return err
	}
	cfg.NodeID = e.Node
	if err := certify(authority, &cfg); err != nil {
		return err
	}
	if _, err := authority.Save(dir, cfg); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "the cluster %s with %d shards in %s has an authority now, in %s: keep ca.key safe, and not on a node\n"+
		"stop the node, and start it with: ticketing serve --config %s\nthen add another one:              ticketing cluster add n2 --dir %s --advertise HOST:PORT\n",
		e.Cluster, e.Shards, cfg.Data, dir, clusterconfig.ConfigPath(dir, cfg.NodeID), dir)
	return err
}

// certify completes the settings of a node of a cluster: with a certificate, and with where the node listens, which follows from where others
// reach it if nobody says more. It returns what is wrong with the whole.
func certify(authority *clusterconfig.Authority, cfg *config.Config) error {
	host, port, err := net.SplitHostPort(cfg.Advertised())
	if err != nil {
		return errors.New("say where the other nodes reach this one: --advertise HOST:PORT")
	}
	id, err := authority.Certify(cfg.NodeID, time.Now())
	if err != nil {
		return err
	}
	cfg.ClusterCA, cfg.ClusterCert, cfg.ClusterKey = id.CA, id.Cert, id.Key
	if cfg.ClusterListen == "" {
		if net.ParseIP(host) == nil {
			host = "" // a name may be another address on this machine
		}
		cfg.ClusterListen = net.JoinHostPort(host, port)
	}
	return cfg.Validate()
}
