package abi

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"ticketing"
	"ticketing/internal/locale"
)

// ManifestSection is the name of the custom section that holds a module's manifest.
const ManifestSection = "ticketing.manifest"

// maxRepeat bounds how often a golden test may judge its item.
const maxRepeat = 1_000

// ParseManifest reads the contents of a manifest's section. It is strict: a member, field or capability that this version
// does not know is a fault, as is anything after the object. Faults are Invalid and say where they are.
func ParseManifest(section []byte) (ticketing.Manifest, []ticketing.GoldenCase, error) {
	var m struct {
		ticketing.Manifest
		Golden []ticketing.GoldenCase `json:"golden"`
	}
	if len(section) > ticketing.MaxManifest {
		return ticketing.Manifest{}, nil, fault("it has %d bytes; at most %d are allowed", len(section), ticketing.MaxManifest)
	}
	d := json.NewDecoder(bytes.NewReader(section))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return ticketing.Manifest{}, nil, fault("%v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return ticketing.Manifest{}, nil, fault("something follows the object")
	}
	m.Manifest.Golden = len(m.Golden)
	if err := checkManifest(&m.Manifest); err != nil {
		return ticketing.Manifest{}, nil, err
	}
	if err := checkGolden(m.Golden); err != nil {
		return ticketing.Manifest{}, nil, err
	}
	return m.Manifest, m.Golden, nil
}

func fault(format string, args ...any) error {
	return ticketing.Errorf(ticketing.Invalid, "The module's manifest is wrong: %s.", fmt.Sprintf(format, args...))
}

func checkManifest(m *ticketing.Manifest) error {
	switch {
	case m.Name == "" || len(m.Name) > 64:
		return fault("name must have 1 to 64 bytes")
	case m.ABI != Name:
		return fault("abi is %q; this server speaks %q", short(m.ABI), Name)
	case len(m.Version) > 64:
		return fault("version has more than 64 bytes")
	case len(m.Description) > ticketing.MaxDescription:
		return fault("description has more than %d bytes", ticketing.MaxDescription)
	case len(m.Config) > 0 && !isObject(m.Config):
		return fault("config is not a JSON Schema, which is an object")
	}
	fields, err := FieldsOf(m.Fields)
	if err != nil {
		return err
	}
	can, err := CapabilitiesOf(m.Capabilities)
	if err != nil {
		return err
	}
	in, err := FieldsOf(m.MatchIn)
	switch {
	case err != nil:
		return err
	case in&^(fields&SearchedFields) != 0:
		return fault("matchIn names %q, which is no text that the module may see", (in &^ (fields & SearchedFields)).Words()[0])
	case in != 0 && !can.Has(CanMatch):
		return fault("matchIn needs the capability match")
	}
	return nil
}

func checkGolden(cases []ticketing.GoldenCase) error {
	if len(cases) > ticketing.MaxGoldenCases {
		return fault("it has %d golden tests; at most %d are allowed", len(cases), ticketing.MaxGoldenCases)
	}
	names := map[string]bool{}
	for i := range cases {
		c := &cases[i]
		tag, err := locale.Parse(c.Item.Locale)
		switch {
		case err != nil:
			return fault("golden[%d].item.locale is no language tag", i)
		case c.Name == "" || len(c.Name) > 100:
			return fault("golden[%d].name must have 1 to 100 bytes", i)
		case names[c.Name]:
			return fault("two golden tests are named %q", c.Name)
		case len(c.Config) > 0 && !isObject(c.Config):
			return fault("golden[%d].config is not an object", i)
		case c.Item.Repeat < 0 || c.Item.Repeat > maxRepeat:
			return fault("golden[%d].item.repeat must be 0 to %d", i, maxRepeat)
		}
		names[c.Name], c.Item.Locale = true, tag
	}
	return nil
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{'
}

// FindManifest returns the contents of the module's manifest section, nil if it has none. Two of them, or a module whose
// sections cannot be read, are Invalid.
func FindManifest(module []byte) ([]byte, error) {
	var found []byte
	err := eachSection(module, func(whole []byte, custom string, contents []byte) error {
		if custom != ManifestSection {
			return nil
		}
		if found != nil {
			return ticketing.Errorf(ticketing.Invalid, "The module has two manifests.")
		}
		found = contents[:len(contents):len(contents)]
		if found == nil {
			found = []byte{}
		}
		return nil
	})
	return found, err
}

// AppendManifest returns a copy of the module with the given manifest behind all other sections, in the place of one that
// it may have. A manifest that [ParseManifest] refuses, and a module whose sections cannot be read, are Invalid.
func AppendManifest(module, manifest []byte) ([]byte, error) {
	if _, _, err := ParseManifest(manifest); err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(module)+len(manifest)+32)
	out = append(out, module[:min(8, len(module))]...)
	err := eachSection(module, func(whole []byte, custom string, _ []byte) error {
		if custom != ManifestSection {
			out = append(out, whole...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	body := append(binary.AppendUvarint(nil, uint64(len(ManifestSection))), ManifestSection...)
	body = append(body, manifest...)
	out = binary.AppendUvarint(append(out, 0), uint64(len(body)))
	return append(out, body...), nil
}

// eachSection calls f for every section of a module: its bytes as a whole, and for custom ones the name and the contents.
func eachSection(module []byte, f func(whole []byte, custom string, contents []byte) error) error {
	broken := ticketing.Errorf(ticketing.Invalid, "This is not a WebAssembly module, or it is cut off.")
	if len(module) < 8 || string(module[:8]) != "\x00asm\x01\x00\x00\x00" {
		return broken
	}
	for rest := module[8:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > uint64(len(rest)-1-n) {
			return broken
		}
		end := 1 + n + int(size)
		whole, contents, custom := rest[:end], rest[1+n:end], ""
		if rest[0] == 0 {
			length, k := binary.Uvarint(contents)
			if k <= 0 || length > uint64(len(contents)-k) {
				return broken
			}
			custom, contents = string(contents[k:k+int(length)]), contents[k+int(length):]
		}
		if err := f(whole, custom, contents); err != nil {
			return err
		}
		rest = rest[end:]
	}
	return nil
}
