package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ticketing/config"
	"ticketing/internal/node"
)

func (a *app) cluster() *cobra.Command {
	var file string
	create := &cobra.Command{Use: "init", Short: "Create a cluster of one node in an empty data directory", Args: between(0, 0),
		Long: "A node never begins a cluster by itself, so that a lost disk is noticed. With --dev, serve creates one."}
	create.Flags().StringVar(&file, "config", "", "YAML file with settings; flags and environment win over it")
	configFlags(create.Flags())
	create.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(file, os.Environ(), c.Flags())
		if err != nil {
			return err
		}
		shards, err := node.InitCluster(cfg, "", a.logger(cfg), a.fatal)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "created a cluster with %d shards in %s\n", shards, cfg.Data)
		return err
	}
	return group("cluster", "Create a cluster, or save one that lost its majority", create, a.clusterRecover())
}
