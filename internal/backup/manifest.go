package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// Format is the version of the format that this package writes and reads.
const Format = 1

// The names of a backup's files.
const (
	manifestName = "manifest.json"
	sumName      = "manifest.sha256"
	keysName     = "keys.age"
	shardsDir    = "shards"
)

// Bounds of a backup's files, in bytes.
const (
	partSize    = 8 << 20
	maxManifest = 64 << 20
	maxKeys     = 1 << 20
)

// A Shard is a shard of the cluster that is backed up.
type Shard struct {
	Service string
	Number  int // of the service, as in [store.ShardID]
	Index   int
}

// ID is the number of the shard's group.
func (s Shard) ID() store.ShardID { return store.NewShardID(s.Number, s.Index) }

func (s Shard) producer() shard.Producer { return shard.Producer{Service: s.Service, Shard: s.Index} }

// String is the form for people, such as "posts/03".
func (s Shard) String() string { return fmt.Sprintf("%s/%02d", s.Service, s.Index) }

// Manifest says what a backup holds.
type Manifest struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of the program that made it
	Cluster string    `json:"cluster"` // id; empty for a cluster that has none
	Created time.Time `json:"created"`
	Shards  int       `json:"shards"` // of every service but control
	Cuts    []Cut     `json:"cuts"`
	Keys    *File     `json:"keys,omitempty"`
}

// Cut is a shard in a backup.
type Cut struct {
	Service string `json:"service"`
	Number  int    `json:"number"` // of the service
	Shard   int    `json:"shard"`
	Applied uint64 `json:"applied"` // index of the last command
	Epoch   uint64 `json:"epoch"`   // of the event log
	First   uint64 `json:"first"`   // event in the log
	Head    uint64 `json:"head"`    // last event
	Parts   []File `json:"parts"`
}

func (c *Cut) shard() Shard { return Shard{c.Service, c.Number, c.Shard} }

// Bytes is the size of all parts.
func (c *Cut) Bytes() (n int64) {
	for _, p := range c.Parts {
		n += p.Size
	}
	return n
}

// Bytes is the size of all cuts.
func (m *Manifest) Bytes() (n int64) {
	for i := range m.Cuts {
		n += m.Cuts[i].Bytes()
	}
	return n
}

// File is a file of a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

func fileOf(name string, data []byte) File {
	sum := sha256.Sum256(data)
	return File{name, int64(len(data)), hex.EncodeToString(sum[:])}
}

// partName is the name of a shard's part.
func partName(s Shard, part int) string {
	return fmt.Sprintf("%s/%s-%02d.%06d.cut", shardsDir, s.Service, s.Index, part)
}

var partPattern = regexp.MustCompile(`^shards/([a-z]{1,16}-[0-9]{2,4})\.([0-9]{6})\.cut$`)

// known reports whether a backup has files of a name.
func known(name string) bool {
	return name == manifestName || name == sumName || name == keysName || partPattern.MatchString(name)
}

// limit is how large a file of a name may be.
func limit(name string) int64 {
	switch name {
	case manifestName:
		return maxManifest
	case keysName, sumName:
		return maxKeys
	}
	return partSize
}

// encode returns the manifest's bytes, and those of its checksum.
func (m *Manifest) encode() (manifest, sum []byte, err error) {
	if manifest, err = json.MarshalIndent(m, "", "  "); err != nil {
		return nil, nil, err
	}
	manifest = append(manifest, '\n')
	return manifest, sumLine(manifest), nil
}

func sumLine(manifest []byte) []byte {
	sum := sha256.Sum256(manifest)
	return fmt.Appendf(nil, "%x  %s\n", sum, manifestName)
}

// decodeManifest reads a manifest that has the checksum.
func decodeManifest(manifest, sum []byte) (m Manifest, err error) {
	switch {
	case manifest == nil || sum == nil:
		return m, errors.New("the backup is incomplete: it was not finished, or its end is missing")
	case !bytes.Equal(sum, sumLine(manifest)):
		return m, fmt.Errorf("%s is damaged", manifestName)
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return m, fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Format != Format {
		return m, fmt.Errorf("the backup is of format %d; this version knows format %d", m.Format, Format)
	}
	return m, m.check()
}

// check reports what no backup has.
func (m *Manifest) check() error {
	if m.Shards < 1 || m.Shards > 64 || m.Shards&(m.Shards-1) != 0 {
		return fmt.Errorf("%s names %d shards", manifestName, m.Shards)
	}
	have := map[string][]int{}
	for i := range m.Cuts {
		c := &m.Cuts[i]
		if c.Number < 0 || c.Number > 254 || c.Shard < 0 || len(c.Parts) == 0 {
			return fmt.Errorf("%s: the cut of %v is none", manifestName, c.shard())
		}
		for n, p := range c.Parts {
			if p.Name != partName(c.shard(), n) {
				return fmt.Errorf("%s: the part %s of %v has a wrong name", manifestName, p.Name, c.shard())
			}
		}
		have[c.Service] = append(have[c.Service], c.Shard)
	}
	for service, shards := range have {
		slices.Sort(shards)
		want := m.Shards
		if service == controlName {
			want = 1
		}
		if len(shards) != want || shards[0] != 0 || shards[len(shards)-1] != want-1 || len(slices.Compact(shards)) != want {
			return fmt.Errorf("%s: of the %d shards of %s there are %v", manifestName, want, service, shards)
		}
	}
	if len(have[controlName]) == 0 {
		return fmt.Errorf("%s: the cut of %s is missing", manifestName, controlName)
	}
	return nil
}
