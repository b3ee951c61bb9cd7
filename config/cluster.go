package config

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
)

// pemBegin is how a value begins that is PEM text and not the name of a file.
const pemBegin = "-----BEGIN"

var nodeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Clustered reports whether the node connects with others.
func (c Config) Clustered() bool { return c.ClusterListen != "" }

// Advertised returns ClusterAdvertise, or its default.
func (c Config) Advertised() string {
	if c.ClusterAdvertise != "" {
		return c.ClusterAdvertise
	}
	return c.ClusterListen
}

// ReadPEM returns the text of ClusterCA, ClusterCert or ClusterKey: the value itself, or the file's that it names.
func ReadPEM(value string) ([]byte, error) {
	if strings.HasPrefix(strings.TrimSpace(value), pemBegin) {
		return []byte(value), nil
	}
	return os.ReadFile(value)
}

// validateCluster checks what stands between this node and others.
func (c Config) validateCluster(fault func(format string, args ...any)) {
	if c.NodeID != "" && !nodeName.MatchString(c.NodeID) {
		fault("node.id: %q is not 1 to 32 of a-z, 0-9 and -, a letter first", c.NodeID)
	}
	switch c.ClusterReplication {
	case 1, 3, 5:
	default:
		fault("cluster.replication: %d is not 1, 3 or 5", c.ClusterReplication)
	}
	if c.ClusterMoveRate < 1 || c.ClusterMoveRate > 10_000 {
		fault("cluster.move_rate: %d is not a number from 1 to 10000", c.ClusterMoveRate)
	}
	if !c.Clustered() {
		for _, s := range [...][2]string{{"advertise", c.ClusterAdvertise}, {"join", strings.Join(c.ClusterJoin, "")}, {"token", c.ClusterToken},
			{"ca", c.ClusterCA}, {"cert", c.ClusterCert}, {"key", c.ClusterKey}} {
			if s[1] != "" {
				fault("cluster.%s: set cluster.listen, too", s[0])
			}
		}
		return
	}
	if c.NodeID == "" {
		fault("node.id: a node of a cluster needs a name, such as n1")
	}
	if err := hostPort(c.ClusterListen); err != nil {
		fault("cluster.listen: %v", err)
	}
	if err := hostPort(c.Advertised()); err != nil {
		fault("cluster.advertise: %v", err)
	} else if host, _, _ := net.SplitHostPort(c.Advertised()); host == "" || unspecified(host) {
		fault("cluster.advertise: other nodes cannot connect to %q; name this machine's address", c.Advertised())
	}
	for _, a := range c.ClusterJoin {
		if err := hostPort(a); err != nil {
			fault("cluster.join: %v", err)
		}
	}
	for _, s := range [...][2]string{{"ca", c.ClusterCA}, {"cert", c.ClusterCert}, {"key", c.ClusterKey}} {
		if s[1] == "" {
			fault("cluster.%s: nodes know each other by certificates; cluster init and cluster add make them", s[0])
		}
	}
}

func unspecified(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

func hostPort(address string) error {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" || port == "0" {
		return fmt.Errorf("%q is not host:port", address)
	}
	return nil
}
