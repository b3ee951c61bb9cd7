package backup

import "fmt"

// A ledger notes which files were seen, to compare them with the manifest, which comes last.
type ledger struct {
	files         map[string]File
	manifestBytes []byte
	sumBytes      []byte
	cuts          int // shards whose first part was seen
}

func newLedger() *ledger { return &ledger{files: map[string]File{}} }

// note takes a file that was read whole.
func (l *ledger) note(name string, data []byte) error {
	switch name {
	case manifestName:
		l.manifestBytes = append([]byte{}, data...)
	case sumName:
		l.sumBytes = append([]byte{}, data...)
	}
	return l.add(fileOf(name, data))
}

func (l *ledger) add(f File) error {
	if _, twice := l.files[f.Name]; twice {
		return fmt.Errorf("%s is there twice", f.Name)
	}
	if m := partPattern.FindStringSubmatch(f.Name); m != nil && m[2] == "000000" {
		l.cuts++
	}
	l.files[f.Name] = f
	return nil
}

// manifest returns the manifest, if the files that were seen are those that it names.
func (l *ledger) manifest() (Manifest, error) {
	m, err := decodeManifest(l.manifestBytes, l.sumBytes)
	if err != nil {
		return m, err
	}
	want := map[string]File{}
	for i := range m.Cuts {
		for _, p := range m.Cuts[i].Parts {
			want[p.Name] = p
		}
	}
	if m.Keys != nil {
		want[keysName] = *m.Keys
	}
	for name, f := range want {
		switch got, ok := l.files[name]; {
		case !ok:
			return m, fmt.Errorf("%s is missing", name)
		case got != f:
			return m, fmt.Errorf("%s is damaged: its checksum is not the one that %s names", name, manifestName)
		}
	}
	for name := range l.files {
		if _, ok := want[name]; !ok && name != manifestName && name != sumName {
			return m, fmt.Errorf("%s does not belong to this backup", name)
		}
	}
	return m, nil
}
