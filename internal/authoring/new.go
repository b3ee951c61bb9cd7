package authoring

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ticketing"
	"ticketing/plugins/sdk"
)

//go:embed all:templates
var templates embed.FS

// Languages are the languages that New knows.
func Languages() []string { return []string{"go", "c"} }

// CheckName says why a rule may not have a name.
func CheckName(name string) error {
	if !ticketing.ValidPluginName(name) {
		return fmt.Errorf("%q is no name for a rule: lower-case letters, digits and dashes, beginning with a letter, up to 40", name)
	}
	return nil
}

// New makes a directory with a rule that works: source, library, manifest, configuration, golden tests and README. The
// directory's last part is the rule's name. One that is there already is refused. It returns the files, in order.
func New(dir, lang string) ([]string, error) {
	name := filepath.Base(filepath.Clean(dir))
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if !slices.Contains(Languages(), lang) {
		return nil, fmt.Errorf("there is no language %q; the languages are %s", lang, strings.Join(Languages(), " and "))
	}
	files, err := starter(name, lang)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there already", dir)
	} else if err != nil {
		return nil, err
	}
	var paths []string
	for rel := range files {
		paths = append(paths, rel)
	}
	slices.Sort(paths)
	for _, rel := range paths {
		path := filepath.Join(dir, filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, files[rel], 0o644); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// starter returns the files of a new rule by their slashed paths.
func starter(name, lang string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, from := range []string{"templates/common", "templates/" + lang} {
		err := fs.WalkDir(templates, from, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := templates.ReadFile(path)
			rel := strings.TrimSuffix(strings.TrimPrefix(path, from+"/"), ".txt")
			rel = strings.ReplaceAll(rel, "NAME", name)
			files[rel] = bytes.ReplaceAll(content, []byte("NAME"), []byte(name))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	library, prefix, err := map[string][]byte(nil), "", error(nil)
	if lang == "go" {
		library, err = sdk.Go()
		prefix = "rule/"
	} else {
		library, err = sdk.C()
	}
	for n, content := range library {
		files[prefix+n] = content
	}
	return files, err
}
