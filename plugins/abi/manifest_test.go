package abi_test

import (
	"bytes"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
)

const manifest = `{
	"name": "links", "version": "1.2.0", "abi": "ticketing/1", "description": "Holds links.",
	"fields": ["text", "author_age"], "capabilities": ["match", "kv", "time"],
	"config": {"type": "object"}, "limits": {"fuel": 500000},
	"golden": [
		{"name": "plain", "item": {"text": "hello"}, "want": {"action": "none"}},
		{"name": "link", "config": {"match": []}, "item": {"kind": "post", "text": "http://x", "repeat": 3}, "want": {"action": "hold", "labels": ["link"]}}
	]
}`

func TestParseManifest(t *testing.T) {
	m, golden, err := abi.ParseManifest([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "links" || m.Golden != 2 || len(golden) != 2 || m.Limits.Fuel != 500_000 || string(m.Config) != `{"type": "object"}` {
		t.Errorf("%+v", m)
	}
	if g := golden[1]; g.Item.Repeat != 3 || g.Item.Kind != ticketing.KindPost || *g.Want.Action != ticketing.ActionHold {
		t.Errorf("%+v", g)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	for _, tc := range []struct{ old, new, says string }{
		{`"name": "links", `, ``, "name must have"},
		{`"ticketing/1"`, `"ticketing/2"`, `abi is "ticketing/2"`},
		{`"version"`, `"versions"`, `unknown field "versions"`},
		{`"fuel"`, `"fule"`, `unknown field "fule"`},
		{`"text",`, `"txet",`, `no field "txet"`},
		{`"author_age"`, `"text"`, `field "text" is named twice`},
		{`"kv"`, `"disk"`, `no capability "disk"`},
		{`"kv"`, `"match"`, `capability "match" is named twice`},
		{`{"type": "object"}`, `[]`, "config is not a JSON Schema"},
		{`"action": "hold"`, `"action": "burn"`, `no action "burn"`},
		{`"kind": "post"`, `"kind": "poem"`, `no kind "poem"`},
		{`"name": "link"`, `"name": "plain"`, `two golden tests are named "plain"`},
		{`"repeat": 3`, `"locale": "Klingon"`, "golden[1].item.locale"},
		{`"repeat": 3`, `"repeat": 1001`, "golden[1].item.repeat"},
		{`Holds links.`, strings.Repeat("x", 1001), "description has more"},
		{`Holds links.`, strings.Repeat("x", ticketing.MaxManifest), "at most 262144 are allowed"},
		{"\t]\n}", "\t]\n}{}", "something follows"},
		{"\t]\n}", "\t]", "EOF"},
	} {
		text := strings.Replace(manifest, tc.old, tc.new, 1)
		_, _, err := abi.ParseManifest([]byte(text))
		if ticketing.KindOf(err) != ticketing.Invalid || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%q in the place of %q: %v, want %q", tc.new, tc.old, err, tc.says)
		}
	}
}

func TestAppendManifest(t *testing.T) {
	module := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x00\x06\x04namex")
	before := bytes.Clone(module)
	if found, err := abi.FindManifest(module); found != nil || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
	with, err := abi.AppendManifest(module, []byte(manifest))
	if err != nil || !bytes.Equal(module, before) || !bytes.HasPrefix(with, module) {
		t.Fatalf("%q, %v", with, err)
	}
	if found, err := abi.FindManifest(with); string(found) != manifest || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
	other := strings.Replace(manifest, "1.2.0", "1.2.1", 1)
	again, err := abi.AppendManifest(with, []byte(other))
	if err != nil || len(again) != len(with) {
		t.Fatalf("%d bytes, were %d: %v", len(again), len(with), err)
	}
	if found, err := abi.FindManifest(again); string(found) != other || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
}

func TestManifestsThatCannotBeFound(t *testing.T) {
	module := []byte("\x00asm\x01\x00\x00\x00")
	with, err := abi.AppendManifest(module, []byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	twice := append(bytes.Clone(with), with[8:]...)
	for name, m := range map[string][]byte{"no module": []byte("hello"), "twice": twice, "cut off": with[:len(with)-1], "size": append(bytes.Clone(module), 0, 0xff)} {
		if _, err := abi.FindManifest(m); ticketing.KindOf(err) != ticketing.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := abi.AppendManifest(module, []byte("{}")); ticketing.KindOf(err) != ticketing.Invalid {
		t.Errorf("an empty manifest: %v", err)
	}
	if _, err := abi.AppendManifest([]byte("hello"), []byte(manifest)); ticketing.KindOf(err) != ticketing.Invalid {
		t.Errorf("no module: %v", err)
	}
}

func TestWordsRoundTrip(t *testing.T) {
	if f, err := abi.FieldsOf(abi.AllFields.Words()); f != abi.AllFields || err != nil || len(f.Words()) != 15 {
		t.Errorf("%v: %v %v", f.Words(), f, err)
	}
	if c, err := abi.CapabilitiesOf(abi.AllCapabilities.Words()); c != abi.AllCapabilities || err != nil || len(c.Words()) != 11 {
		t.Errorf("%v: %v %v", c.Words(), c, err)
	}
	if abi.Fields(0).Has(abi.FieldText) || abi.AllFields.Has(0) || abi.AllFields.Has(abi.FieldEnd) || !abi.AllFields.Has(abi.FieldAuthorName) {
		t.Error("a set has what it does not hold")
	}
}

// TestEveryImportHasItsCapability lists what is free: a new import has to be put somewhere.
func TestEveryImportHasItsCapability(t *testing.T) {
	free := map[string]bool{abi.ImportField: true, abi.ImportLabel: true, abi.ImportDetail: true}
	for _, s := range abi.Imports() {
		if needs := abi.Needs(abi.Module, s.Name); (needs == 0) != free[s.Name] {
			t.Errorf("%s needs %v", s.Name, needs.Words())
		}
	}
	if len(abi.WASIImports()) != 46 || abi.Needs(abi.WASIModule, "fd_write") != abi.CanWASI {
		t.Errorf("%d imports of WASI", len(abi.WASIImports()))
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(manifest))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, section []byte) {
		m, golden, err := abi.ParseManifest(section)
		if err != nil {
			if ticketing.KindOf(err) != ticketing.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		if m.Golden != len(golden) || m.ABI != abi.Name {
			t.Errorf("%+v with %d", m, len(golden))
		}
	})
}

func FuzzSections(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x05\x04name"))
	f.Fuzz(func(t *testing.T, module []byte) {
		with, err := abi.AppendManifest(module, []byte(manifest))
		if err != nil {
			return
		}
		if found, err := abi.FindManifest(with); err != nil || string(found) != manifest {
			t.Errorf("%q, %v", found, err)
		}
	})
}
