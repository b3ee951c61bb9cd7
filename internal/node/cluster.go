package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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
			return r, fmt.Errorf("%s holds no cluster; create one with --dev", dir)
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
