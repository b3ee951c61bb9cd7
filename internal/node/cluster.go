package node

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/config"
	"ticketing/runtime/store"
)

// clusterFile names the record of the cluster that a data directory belongs to.
const clusterFile = "cluster.json"

// formatVersion is the version of the data directory as a whole.
const formatVersion = 1

// soleNode is the name of a node that was given none.
const soleNode = "n1"

// clusterRecord says which cluster a data directory belongs to, and who its node is there. It is written before anything else.
type clusterRecord struct {
	Format  int       `json:"format"`
	Shards  int       `json:"shards"`
	Created time.Time `json:"created"`
	// Creating is set until every shard's group exists: only then may a missing group be made.
	Creating bool `json:"creating,omitempty"`
	// Cluster is the cluster's ID; Node this node's name. Directories from before there were clusters have neither until their next start.
	Cluster string `json:"cluster,omitempty"`
	Node    string `json:"node,omitempty"`
	// Incarnation is the member's, 0 until control has told it. Another one in control means that this directory is an old one.
	Incarnation uint64 `json:"incarnation,omitempty"`
	// Control is the ID of this node's replica of control; empty: the node's name.
	Control string `json:"control,omitempty"`
	// Restoring is set while a backup is restored into the directory, Recovery while the node is made the only one of its cluster.
	Restoring bool      `json:"restoring,omitempty"`
	Recovery  *recovery `json:"recovery,omitempty"`
	// Joining is set until the node's replica of control has its first data.
	Joining bool `json:"joining,omitempty"`
}

func (r clusterRecord) control() string {
	if r.Control != "" {
		return r.Control
	}
	return r.Node
}

// defaultShards is the number of shards of a new cluster. An entry costs as much as ten commands, so few cores want few shards; more
// machines want more of them.
func defaultShards() int {
	if runtime.GOMAXPROCS(0) <= 4 { // it knows a container's limits
		return 4
	}
	return 8
}

// readCluster reads the record; found is false if the directory holds none. It does not touch a directory of a newer version.
func readCluster(fsys vfs.FS, dir string) (r clusterRecord, found bool, err error) {
	path := fsys.PathJoin(dir, clusterFile)
	b, err := readFile(fsys, dir, clusterFile)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	switch {
	case err != nil:
		return r, false, fmt.Errorf("%s: %w", path, err)
	case r.Format != formatVersion:
		return r, false, fmt.Errorf("%s is of format %d; this version knows format %d", dir, r.Format, formatVersion)
	}
	return r, true, nil
}

// complete fills in what directories from before there were clusters lack, and checks the record against the config. changed says that it
// must be written.
func (r *clusterRecord) complete(cfg config.Config, cluster string) (changed bool, err error) {
	before := *r
	switch {
	case r.Restoring:
		return false, fmt.Errorf("the restore into %s was not finished: run it again", cfg.Data)
	case r.Recovery != nil:
		return false, fmt.Errorf("the recovery of %s was not finished: run ticketing cluster recover again", cfg.Data)
	}
	if r.Node == "" {
		r.Node = soleNode // as its groups call it
	}
	if r.Cluster == "" {
		if r.Cluster = cluster; cluster == "" {
			r.Cluster = newClusterID()
		}
	}
	switch {
	case cfg.Shards != 0 && r.Shards != cfg.Shards:
		return false, fmt.Errorf("%s was created with %d shards; the config says %d, and the number can never change", cfg.Data, r.Shards, cfg.Shards)
	case cluster != "" && cluster != r.Cluster:
		return false, fmt.Errorf("%s belongs to the cluster %s; the certificate is of the cluster %s", cfg.Data, r.Cluster, cluster)
	case cfg.NodeID != "" && cfg.NodeID != r.Node:
		return false, fmt.Errorf("%s is the node %s's; the config says %s, and a node's name can never change", cfg.Data, r.Node, cfg.NodeID)
	}
	return *r != before, nil
}

// newCluster is the record of a cluster that begins in an empty directory.
func newCluster(cfg config.Config, cluster string) clusterRecord {
	r := clusterRecord{Format: formatVersion, Shards: cfg.Shards, Created: time.Now().UTC(), Creating: true, Cluster: cluster, Node: cfg.NodeID}
	if r.Shards == 0 {
		r.Shards = defaultShards()
	}
	if r.Cluster == "" {
		r.Cluster = newClusterID()
	}
	if r.Node == "" {
		r.Node = soleNode
	}
	return r
}

func newClusterID() string { return strings.ToLower(rand.Text()[:16]) }

// InitCluster makes a cluster of one node in an empty data directory, as serve with --dev does by itself, and returns the number of its
// shards. cluster is its ID. It fails if there is one.
func InitCluster(cfg config.Config, cluster string, log *slog.Logger, fatal func(error)) (shards int, err error) {
	n := &Node{cfg: cfg, opts: Options{FS: vfs.Default, Fatal: fatal}, log: log}
	if n.cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return 0, err
	}
	if _, found, err := readCluster(vfs.Default, n.cfg.Data); err != nil || found {
		return 0, errors.Join(err, fmt.Errorf("%s holds a cluster already", n.cfg.Data))
	}
	if n.store, err = store.Open(n.storeOptions(n.cfg)); err != nil { // for the directory, and its lock
		return 0, err
	}
	r := newCluster(n.cfg, cluster)
	return r.Shards, errors.Join(writeCluster(n.opts.FS, n.cfg.Data, r), n.store.Close())
}

// Existing is the cluster that a data directory belongs to.
type Existing struct {
	Cluster string // its ID; empty: the directory is from before there were IDs, and takes over the one of its first certificate
	Node    string
	Shards  int // of every service
}

// ReadExisting reads which cluster a data directory belongs to. Nothing is opened, so the node may run. What the node would refuse to start
// with is refused.
func ReadExisting(cfg config.Config) (Existing, error) {
	r, found, err := readCluster(vfs.Default, cfg.Data)
	if err == nil && !found {
		err = fmt.Errorf("%s holds no cluster", cfg.Data)
	}
	if err != nil {
		return Existing{}, err
	}
	e := Existing{r.Cluster, r.Node, r.Shards}
	if _, err := r.complete(cfg, r.Cluster); err != nil {
		return Existing{}, err
	}
	e.Node = r.Node
	return e, nil
}

func writeCluster(fsys vfs.FS, dir string, r clusterRecord) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeFile(fsys, dir, clusterFile, append(b, '\n'))
}

func readFile(fsys vfs.FS, dir, name string) ([]byte, error) {
	f, err := fsys.Open(fsys.PathJoin(dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// writeFile puts a file in the place of another, durably: after a crash there is the one or the other.
func writeFile(fsys vfs.FS, dir, name string, content []byte) error {
	path := fsys.PathJoin(dir, name)
	f, err := fsys.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(path+".new", path); err != nil {
		return err
	}
	return store.SyncDir(fsys, dir)
}

// recovery is what is noted of a recovery that was begun.
type recovery struct {
	Number uint64 `json:"number"` // of the new replicas, and their event logs' epoch
}
