package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// A Backup is a backup on disk that was verified.
type Backup struct {
	Manifest Manifest
	path     string
	cuts     map[shard.Producer]shard.CutInfo
	keys     []byte // sealed; nil: none
}

// Verify reads a whole backup, a directory or a file, and checks all of it: that every file is there and is what it was, that every cut is
// whole, that no event is missing, and that all places in event logs are within the logs. progress may be nil.
func Verify(ctx context.Context, path string, progress func(Progress)) (*Backup, error) {
	b := &Backup{path: path}
	err := b.scan(ctx, progress, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// Events is how many events the backup's logs hold.
func (b *Backup) Events() (n uint64) {
	for _, c := range b.cuts {
		n += c.Head + 1 - c.First
	}
	return n
}

// Keys decrypts the cluster's keys. The error says if there are none, or if the passphrase is wrong.
func (b *Backup) Keys(passphrase string) ([]byte, error) {
	if b.keys == nil {
		return nil, fmt.Errorf("%s holds no keys", b.path)
	}
	return openKeys(b.keys, passphrase)
}

// pairFunc takes a pair of a shard's cut; see [shard.ReadCut].
type pairFunc func(id store.ShardID, kind store.Kind, key, value []byte) error

// scan reads and checks everything, and fills the backup in.
func (b *Backup) scan(ctx context.Context, progress func(Progress), pair pairFunc) error {
	src, err := openFiles(b.path)
	if err != nil {
		return err
	}
	s := &scanner{ctx: ctx, src: src, seen: newLedger(), pair: pair, progress: progress, cuts: map[store.ShardID]shard.CutInfo{}}
	if b.cuts != nil {
		s.done.Total = len(b.cuts)
	}
	err = s.run()
	if err = errors.Join(err, src.Close()); err != nil {
		return err
	}
	if b.Manifest, err = s.seen.manifest(); err != nil {
		return err
	}
	b.keys = s.keys
	return b.compare(s.cuts)
}

// compare holds the cuts to the manifest and to each other.
func (b *Backup) compare(cuts map[store.ShardID]shard.CutInfo) error {
	b.cuts = map[shard.Producer]shard.CutInfo{}
	for i := range b.Manifest.Cuts {
		c := &b.Manifest.Cuts[i]
		info, ok := cuts[c.shard().ID()]
		if !ok || info.Applied != c.Applied || info.Epoch != c.Epoch || info.First != c.First || info.Head != c.Head {
			return fmt.Errorf("the cut of %v is not the one that %s names", c.shard(), manifestName)
		}
		b.cuts[c.shard().producer()] = info
	}
	if len(cuts) != len(b.cuts) {
		return fmt.Errorf("%d shards are in the backup, and %d in %s", len(cuts), len(b.cuts), manifestName)
	}
	return shard.CheckCuts(b.cuts)
}

// scanner reads a backup from its first file to its last.
type scanner struct {
	ctx      context.Context
	src      files
	seen     *ledger
	pair     pairFunc
	progress func(Progress)
	done     Progress
	cuts     map[store.ShardID]shard.CutInfo
	keys     []byte

	name string // of the file that is open
	file io.Reader
	end  error // what came instead of another file
	sum  hash.Hash
	size int64
}

func (s *scanner) run() error {
	s.open()
	for s.end == nil {
		m := partPattern.FindStringSubmatch(s.name)
		var err error
		if m != nil {
			err = s.cut(m[1])
		} else {
			err = s.small()
		}
		if err != nil {
			return err
		}
	}
	if errors.Is(s.end, io.EOF) {
		return nil
	}
	return s.end
}

// open goes on to the next file.
func (s *scanner) open() {
	s.name, s.file, s.end = s.src.next()
	s.sum, s.size = sha256.New(), 0
}

// shut notes the open file, which was read to its end, and goes on to the next one.
func (s *scanner) shut() error {
	f := File{s.name, s.size, hex.EncodeToString(s.sum.Sum(nil))}
	s.open()
	return s.seen.add(f)
}

// small reads a file that is no part of a cut.
func (s *scanner) small() error {
	data, err := io.ReadAll(io.LimitReader(s.file, limit(s.name)+1))
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if int64(len(data)) > limit(s.name) {
		return fmt.Errorf("%s is too large", s.name)
	}
	if s.name == keysName {
		s.keys = data
	}
	err = s.seen.note(s.name, data)
	s.open()
	return err
}

// cut reads all parts of a shard.
func (s *scanner) cut(stem string) error {
	parts := &partReader{s: s, stem: stem}
	src := bufio.NewReaderSize(parts, 64<<10)
	head, err := src.Peek(10)
	if err != nil {
		return fmt.Errorf("%s: the cut has no beginning: %w", stem, err)
	}
	id := store.ShardID(binary.BigEndian.Uint16(head[8:]))
	if _, twice := s.cuts[id]; twice {
		return fmt.Errorf("%s: the shard is there twice", stem)
	}
	var pair func(store.Kind, []byte, []byte) error
	if s.pair != nil {
		pair = func(k store.Kind, key, value []byte) error { return s.pair(id, k, key, value) }
	}
	info, err := shard.ReadCut(src, id, pair)
	if err != nil {
		return fmt.Errorf("%s: %w", stem, err)
	}
	s.cuts[id] = info
	s.done.Shards++
	if s.progress != nil {
		s.progress(s.done)
	}
	return nil
}

// partReader reads the parts of a shard one behind the other.
type partReader struct {
	s    *scanner
	stem string
	part int
}

func (p *partReader) Read(b []byte) (int, error) {
	for {
		if p.s.end != nil {
			return 0, io.EOF
		}
		if p.s.name != fmt.Sprintf("%s/%s.%06d.cut", shardsDir, p.stem, p.part) {
			if p.part > 0 {
				return 0, io.EOF // the next shard
			}
			return 0, fmt.Errorf("%s comes before the first part", p.s.name)
		}
		n, err := p.s.file.Read(b)
		p.s.sum.Write(b[:n])
		p.s.size += int64(n)
		p.s.done.Bytes += int64(n)
		switch {
		case p.s.ctx.Err() != nil:
			return n, p.s.ctx.Err()
		case p.s.size > partSize:
			return n, fmt.Errorf("%s is too large", p.s.name)
		case n > 0:
			if p.s.progress != nil {
				p.s.progress(p.s.done)
			}
			return n, nil
		case errors.Is(err, io.EOF):
			p.part++
			if err := p.s.shut(); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, fmt.Errorf("%s is damaged: %w", p.s.name, err)
		}
	}
}
