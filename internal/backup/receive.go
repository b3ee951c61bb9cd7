package backup

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
)

// Receive takes a backup that a node sends as a tar to an archive, which it closes, and checks that it came whole. courier is nil for a
// backup without keys; progress may be nil.
func Receive(from io.Reader, to Archive, courier *Courier, progress func(Progress)) (Manifest, error) {
	src := &tarFiles{src: from, t: tar.NewReader(from), close: func() error { return nil }}
	var done Progress
	var keys []byte
	got := newLedger()
	for {
		name, r, err := src.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Manifest{}, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return Manifest{}, fmt.Errorf("the backup broke off: %w", err)
		}
		if err := got.note(name, data); err != nil {
			return Manifest{}, err
		}
		switch name {
		case manifestName, sumName:
		case keysName:
			keys = data
		default:
			if err := to.Put(name, data); err != nil {
				return Manifest{}, err
			}
			done.Bytes += int64(len(data))
			done.Shards = got.cuts
			if progress != nil {
				progress(done)
			}
		}
	}
	m, err := got.manifest()
	if err != nil {
		return m, err
	}
	if keys != nil {
		if courier == nil {
			return m, errors.New("the backup holds keys that nobody asked for")
		}
		if keys, err = courier.reseal(keys); err != nil {
			return m, err
		}
	} else if courier != nil {
		return m, errors.New("the backup lacks the keys that were asked for")
	}
	return m, finish(to, &m, keys)
}
