// Package config holds every knob of a node: one flat struct, its defaults, where values come from (file < environment < flags), and
// what makes a value wrong.
package config

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Config is every setting of a node. Keys in files are the koanf tags; environment variables are TICKETING_ and the key in upper case,
// with _ for a dot: TICKETING_CLUSTER_MOVE_RATE is cluster.move_rate.
type Config struct {
	// Data is the directory that holds everything the node stores. It is created with mode 0700.
	Data string `koanf:"data"`
	// Dev is for a laptop: plain HTTP on loopback, and without ClusterListen a cluster of one node is created in an empty data directory.
	Dev bool `koanf:"dev"`
	// HTTP is the address of pages and API, host:port.
	HTTP string `koanf:"http"`
	// Admin is the address of metrics and profiles; empty: none. It must be a loopback address.
	Admin string `koanf:"admin"`
	// Hosts are the values of the Host header that are answered, besides loopback names in Dev; a name without a port also stands for the
	// name with HTTP's port. Empty: the names of the certificate.
	Hosts []string `koanf:"hosts"`
	// TLSCert and TLSKey are PEM files: a certificate chain and its key. They are read again when they change.
	TLSCert string `koanf:"tls.cert"`
	TLSKey  string `koanf:"tls.key"`
	// TLSMin is the lowest version of TLS that is spoken: 1.2 or 1.3.
	TLSMin string `koanf:"tls.min"`
	// ACMEHosts are the DNS names to get certificates for by ACME. With neither files nor ACME, a certificate is made at the first start.
	ACMEHosts []string `koanf:"acme.hosts"`
	// ACMEEmail is where the certificate authority writes when something is wrong; may be empty.
	ACMEEmail string `koanf:"acme.email"`
	// ACMEDirectory is the URL of the authority's ACME directory; empty: Let's Encrypt.
	ACMEDirectory string `koanf:"acme.directory"`
	// Redirect is the address, host:port, of a plain HTTP listener that sends pages to HTTPS, refuses everything else, and answers ACME's
	// http-01; empty: none.
	Redirect string `koanf:"redirect"`
	// Proxies are the networks (CIDR) of the proxies in front, whose X-Forwarded-For and X-Forwarded-Proto are believed.
	Proxies []string `koanf:"proxies"`
	// Limits scales the rate limits: 2 allows twice as much, 0 turns them off but for the back-off after wrong passwords.
	Limits float64 `koanf:"limits"`
	// TraceEndpoint is the URL of an OpenTelemetry collector that takes OTLP over HTTP; empty: no traces.
	TraceEndpoint string `koanf:"trace.endpoint"`
	// TraceRatio is the part of the requests that is traced, 0 to 1.
	TraceRatio float64 `koanf:"trace.ratio"`
	// Access turns the access log on, a line for every request.
	Access bool `koanf:"access"`
	// Shards is the number of shards of every service: a power of two, 1…64, fixed when the cluster is created. 0: what the cluster has,
	// and for a new one 4 on a machine with up to four cores, else 8.
	Shards int `koanf:"shards"`
	// NodeID is this node's name in the cluster: 1 to 32 of a-z, 0-9 and -, a letter first. Only a node of a cluster needs one.
	NodeID string `koanf:"node.id"`
	// ClusterListen is the address, host:port, where other nodes connect; empty: this node is alone.
	ClusterListen string `koanf:"cluster.listen"`
	// ClusterAdvertise is the address, host:port, where the other nodes reach this one; default ClusterListen.
	ClusterAdvertise string `koanf:"cluster.advertise"`
	// ClusterJoin are addresses, host:port, of nodes of the cluster, one of which takes this node in when its data directory is empty.
	ClusterJoin []string `koanf:"cluster.join"`
	// ClusterToken is what a node joins with, once. Only from the environment or a file.
	ClusterToken string `koanf:"cluster.token"`
	// ClusterReplication is how many replicas of a shard have a vote, where there are enough nodes: 1, 3 or 5. It is read when the cluster is
	// created.
	ClusterReplication int `koanf:"cluster.replication"`
	// ClusterMoveRate bounds the copies that this node sends to others, such as a new replica's data, in MB (10^6 bytes) a second, 1…10000. While
	// they make commits take much longer, they get less, but an eighth at least.
	ClusterMoveRate int `koanf:"cluster.move_rate"`
	// ClusterCA, ClusterCert and ClusterKey are the authority of the cluster, and this node's certificate and key: PEM files, which are read
	// again when they change, or the PEM text itself.
	ClusterCA   string `koanf:"cluster.ca"`
	ClusterCert string `koanf:"cluster.cert"`
	ClusterKey  string `koanf:"cluster.key"`
	// Cache is the size of the block cache that all databases share, in MiB.
	Cache int `koanf:"cache"`
	// MemTable is the size of one database's memtable, in MiB.
	MemTable int `koanf:"memtable"`
	// Memory is a soft limit on the memory of the Go heap, in MiB; 0: none.
	Memory int `koanf:"memory"`
	// Retention is how long events are kept at least, so that consumers may be away; not below 20 minutes.
	Retention time.Duration `koanf:"retention"`
	// Queue is how many requests wait for one shard at most.
	Queue int `koanf:"queue"`
	// Connections is how many HTTP connections are open at most; it is lowered to fit the limit on open files.
	Connections int `koanf:"connections"`
	// OperatorEmail and OperatorPassword create the first operator when there is none. Only from the environment or a file.
	OperatorEmail    string `koanf:"operator.email"`
	OperatorPassword string `koanf:"operator.password"`
	// SMTPURL is the mail server: smtp://user:password@host:587 with STARTTLS, smtps://user:password@host:465 with TLS from the first
	// byte; empty: no mail is sent, and with Dev the links that mails would carry are logged. Only from the environment or a file.
	SMTPURL string `koanf:"smtp.url"`
	// SMTPFrom is the sender of mails, such as "Ticketing <noreply@example.org>".
	SMTPFrom string `koanf:"smtp.from"`
	// PublicURL is what links in mails begin with, such as https://example.org; with Dev the address of HTTP by default.
	PublicURL string `koanf:"public.url"`
	// SignUpStrict makes a sign-up answer the same whether the e-mail has an account or not; the owner gets a mail. An account is signed in
	// to only after its e-mail is confirmed.
	SignUpStrict bool `koanf:"signup.strict"`
	// PasswordMin is how many characters a new password has at least, 8…15.
	PasswordMin int `koanf:"password.min"`
	// RulesSigned makes every rule take only versions with a signature of a known key: others are not even compiled, and what judges without
	// one is taken from its rule. All nodes of a cluster should have the same.
	RulesSigned bool `koanf:"rules.signed"`
	// RulesModuleSize is how large an uploaded module may be, in KiB, 64…16384. What counts is the setting of the node that takes the upload:
	// modules that are there already are used everywhere.
	RulesModuleSize int `koanf:"rules.module_size"`
	// Log is the lowest level that is logged: debug, info, warn or error.
	Log string `koanf:"log"`
}

// Default returns the settings of a node that was told nothing.
func Default() Config {
	return Config{Data: "data", Cache: 32, MemTable: 8, Memory: 0, Retention: time.Hour, Queue: 4096,
		Connections: 10_000, ClusterReplication: 3, ClusterMoveRate: 128, TLSMin: "1.2", Limits: 1, TraceRatio: 0.01, PasswordMin: 8, RulesModuleSize: 4096, Log: "info"}
}

// Address returns HTTP, or its default: loopback for Dev, every interface otherwise.
func (c Config) Address() string {
	switch {
	case c.HTTP != "":
		return c.HTTP
	case c.Dev:
		return "127.0.0.1:8080"
	}
	return ":8443"
}

// Validate reports every fault at once, one a line. It changes nothing.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Data == "" {
		fault("data: name a directory")
	}
	if _, _, err := net.SplitHostPort(c.Address()); err != nil {
		fault("http: %q is not host:port", c.HTTP)
	}
	if c.Dev && !loopback(c.Address()) {
		fault("http: --dev serves plain HTTP, so the address must be a loopback one, such as 127.0.0.1:8080")
	}
	if c.Admin != "" && !loopback(c.Admin) {
		fault("admin: %q is not a loopback address, such as 127.0.0.1:9090", c.Admin)
	}
	c.validateEdge(fault)
	c.validateCluster(fault)
	if c.Shards < 0 || c.Shards > 64 || c.Shards&(c.Shards-1) != 0 {
		fault("shards: %d is not a power of two from 1 to 64, or 0 for the default", c.Shards)
	}
	between := func(key string, n, lo, hi int) {
		if n < lo || n > hi {
			fault("%s: %d is not between %d and %d", key, n, lo, hi)
		}
	}
	between("cache", c.Cache, 1, 1<<20)
	between("memtable", c.MemTable, 1, 1024)
	between("queue", c.Queue, 1, 1<<20)
	between("connections", c.Connections, 1, 1<<20)
	if c.Memory != 0 {
		between("memory", c.Memory, 64, 1<<24)
	}
	if c.Retention < 20*time.Minute {
		fault("retention: %v is less than 20m", c.Retention)
	}
	if (c.OperatorEmail == "") != (c.OperatorPassword == "") {
		fault("operator: set both the e-mail and the password, or neither")
	}
	between("password.min", c.PasswordMin, 8, 15)
	between("rules.module_size", c.RulesModuleSize, 64, 16<<10)
	for _, f := range c.mailFaults() {
		fault("%s", f)
	}
	if !strings.Contains(" debug info warn error ", " "+c.Log+" ") {
		fault("log: %q is not debug, info, warn or error", c.Log)
	}
	return errors.Join(errs...)
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Redacted returns the config without its secrets, for printing.
func (c Config) Redacted() Config {
	if c.OperatorPassword != "" {
		c.OperatorPassword = "(hidden)"
	}
	for _, secret := range []*string{&c.SMTPURL, &c.ClusterToken} {
		if *secret != "" {
			*secret = "(hidden)"
		}
	}
	if strings.HasPrefix(c.ClusterKey, pemBegin) {
		c.ClusterKey = "(hidden)"
	}
	return c
}
