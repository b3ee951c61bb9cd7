package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/config"
	"ticketing/runtime/store"
)

// clusterFile names the record of the cluster that a data directory belongs to.
const clusterFile = "cluster.json"

// formatVersion is the version of the data directory as a whole.
const formatVersion = 1

// clusterRecord says which cluster a data directory belongs to. It is written once, before anything else.
type clusterRecord struct {
	Format  int       `json:"format"`
	Shards  int       `json:"shards"`
	Created time.Time `json:"created"`
	// Creating is set until every shard's group exists: only then may a missing group be made.
	Creating bool `json:"creating,omitempty"`
}

// defaultShards is the number of shards of a new cluster. An entry costs as much as ten commands, so few cores want few shards; more
// machines want more of them.
func defaultShards() int {
	if runtime.GOMAXPROCS(0) <= 4 { // it knows a container's limits
		return 4
	}
	return 8
}

// openCluster reads the record, or makes one if create is set. It does not touch a directory of a newer version.
func openCluster(fsys vfs.FS, dir string, shards int, create bool) (clusterRecord, error) {
	var r clusterRecord
	path := fsys.PathJoin(dir, clusterFile)
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return r, fmt.Errorf("%s holds no cluster; create one with cluster init, or serve with --dev", dir)
		}
		if shards == 0 {
			shards = defaultShards()
		}
		r = clusterRecord{Format: formatVersion, Shards: shards, Created: time.Now().UTC(), Creating: true}
		return r, writeCluster(fsys, dir, r)
	}
	if err != nil {
		return r, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	switch {
	case err != nil:
		return r, fmt.Errorf("%s: %w", path, err)
	case r.Format != formatVersion:
		return r, fmt.Errorf("%s is of format %d; this version knows format %d", dir, r.Format, formatVersion)
	case shards != 0 && r.Shards != shards:
		return r, fmt.Errorf("%s was created with %d shards; the config says %d, and the number can never change", dir, r.Shards, shards)
	}
	return r, nil
}

// InitCluster makes a cluster of one node in an empty data directory, as serve with --dev does by itself, and returns the number of its
// shards. It fails if there is one.
func InitCluster(cfg config.Config, log *slog.Logger, fatal func(error)) (shards int, err error) {
	n := &Node{cfg: cfg, opts: Options{FS: vfs.Default, Fatal: fatal}, log: log}
	if n.cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return 0, err
	}
	if _, err := os.Stat(filepath.Join(n.cfg.Data, clusterFile)); err == nil {
		return 0, fmt.Errorf("%s holds a cluster already", n.cfg.Data)
	}
	if n.store, err = store.Open(n.storeOptions(n.cfg)); err != nil { // for the directory, and its lock
		return 0, err
	}
	r, err := openCluster(n.opts.FS, n.cfg.Data, cfg.Shards, true)
	return r.Shards, errors.Join(err, n.store.Close())
}

func writeCluster(fsys vfs.FS, dir string, r clusterRecord) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := fsys.PathJoin(dir, clusterFile)
	f, err := fsys.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err = f.Write(append(b, '\n')); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
