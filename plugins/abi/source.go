package abi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"ticketing"
)

// Names of the files from which a rule's manifest is made.
const (
	ManifestFile = "plugin.json" // the manifest, with or without golden
	GoldenFile   = "golden.json" // optional: golden tests, a list
	ConfigFile   = "config.json" // optional: the configuration that the rule is delivered with
)

// ReadManifest makes the manifest of the rule in a directory: plugin.json, with the golden tests of golden.json if it is
// there. A golden test without a configuration gets the one in config.json if there is one. The result passes
// [ParseManifest]; faults are Invalid and name the file.
func ReadManifest(dir fs.FS) ([]byte, error) {
	manifest := map[string]json.RawMessage{}
	if err := readJSON(dir, ManifestFile, &manifest); err != nil {
		return nil, err
	}
	var golden []map[string]json.RawMessage
	if raw, ok := manifest["golden"]; ok {
		if err := json.Unmarshal(raw, &golden); err != nil {
			return nil, ticketing.Errorf(ticketing.Invalid, "%s: golden: %v", ManifestFile, err)
		}
	}
	var more []map[string]json.RawMessage
	if err := readJSON(dir, GoldenFile, &more); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	golden = append(golden, more...)
	if err := fillConfig(dir, golden); err != nil {
		return nil, err
	}
	if len(golden) > 0 {
		raw, err := json.Marshal(golden)
		if err != nil {
			return nil, err
		}
		manifest["golden"] = raw
	}
	out, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	if _, _, err := ParseManifest(out); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	return out, nil
}

// fillConfig gives the configuration that the rule is delivered with to the golden tests that have none.
func fillConfig(dir fs.FS, golden []map[string]json.RawMessage) error {
	var config map[string]json.RawMessage
	if err := readJSON(dir, ConfigFile, &config); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return err
	}
	for _, c := range golden {
		if _, ok := c["config"]; !ok {
			c["config"] = raw
		}
	}
	return nil
}

// readJSON reads a file strictly as one JSON value.
func readJSON(dir fs.FS, name string, v any) error {
	raw, err := fs.ReadFile(dir, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")), v); err != nil {
		return ticketing.Errorf(ticketing.Invalid, "%s: %v", name, err)
	}
	return nil
}
