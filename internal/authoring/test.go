package authoring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ticketing"
	"ticketing/plugins/abi"
)

// Report is what testing a rule gave.
type Report struct {
	Path     string             `json:"path"`
	Digest   ticketing.Digest   `json:"digest"`
	Manifest ticketing.Manifest `json:"manifest"`
	Golden   []Case             `json:"golden"`
	Failed   int                `json:"failed"` // golden tests that did not pass
	Data     *Score             `json:"data,omitzero"`
}

// Data says which labelled texts a rule is tried on.
type Data struct {
	Files  []string             // CSV with a header
	Text   string               // column of the text
	Label  string               // column of the label: 1, true, yes or spam is what should be stopped
	Author string               // column of the author; "": every row has an author of its own
	Config string               // JSON file; "": config.json beside the rule if it is there
	Seen   func(done, rows int) // progress; nil: nobody asks
}

// Test runs the golden tests of a rule, which is a module or the directory of one, and tries it on data if there is any. A
// directory is built first.
func Test(ctx context.Context, path string, data *Data) (Report, error) {
	dir := filepath.Dir(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		dir = path
		built, err := Build(ctx, path)
		if err != nil {
			return Report{}, err
		}
		path = built.Path
	}
	module, err := ReadModule(path)
	if err != nil {
		return Report{}, err
	}
	b, err := open(module)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %s", path, message(err))
	}
	defer b.close()
	r := Report{Path: path, Digest: b.digest, Manifest: b.manifest}
	if r.Golden, err = b.run(ctx); err != nil {
		return r, fmt.Errorf("%s: %s", path, message(err))
	}
	for _, c := range r.Golden {
		if !c.Passed {
			r.Failed++
		}
	}
	if data != nil {
		r.Data, err = b.score(ctx, dir, data)
	}
	return r, err
}

// ReadModule reads a module's file, up to the size that a server can be set to take.
func ReadModule(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file", path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > ticketing.MaxModule:
		return nil, fmt.Errorf("%s: not a file of at most %d bytes, which is what a server can be set to take", path, ticketing.MaxModule)
	}
	return os.ReadFile(path)
}

// config returns the configuration to try a rule with.
func (d *Data) config(dir string) ([]byte, error) {
	path := d.Config
	if path == "" {
		path = filepath.Join(dir, abi.ConfigFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return []byte("{}"), nil
		}
	}
	return os.ReadFile(path)
}
