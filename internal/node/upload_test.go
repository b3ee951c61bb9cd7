package node

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
)

// Whoever uploads a module that asks for more than it gets is told, and so is who looks at it later; what an operator alone can allow is meant.
func TestUploadTellsLimits(t *testing.T) {
	module, err := abi.AppendManifest(hosttest.Empty, []byte(`{"name": "links", "version": "1", "abi": "ticketing/1", "fields": [], "capabilities": [],
		"limits": {"fuel": 50000000, "memoryPages": 512, "hostCalls": 10}}`))
	if err != nil {
		t.Fatal(err)
	}
	n := openShards(t, vfs.NewMem(), 1)
	v, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: module})
	if err != nil {
		t.Fatal(err)
	}
	want := []ticketing.LimitGap{{Limit: "fuel", Asked: 50_000_000, Granted: 10_000_000}}
	if !slices.Equal(v.Gaps, want) {
		t.Errorf("%+v", v.Gaps)
	}
	all, err := n.rules.Plugins(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if gaps := v.Gaps; v.Builtin && len(gaps) > 0 || !v.Builtin && !slices.Equal(gaps, want) {
			t.Errorf("%s: %+v", v.Name, gaps)
		}
	}
}

// padded is a module that is larger by a custom section, which means nothing.
func padded(module []byte, by int) []byte {
	head := binary.AppendUvarint([]byte{0}, uint64(by))
	return slices.Concat(module, head, []byte{1, 'x'}, make([]byte, by-2))
}

// A node takes modules as large as it is set to, and uses larger ones that are there: another node, or the same one before, may have taken them.
func TestUploadSize(t *testing.T) {
	fs, cfg := vfs.NewMem(), smallConfig(1)
	cfg.RulesModuleSize = ticketing.MaxModule >> 10
	n, err := Open(t.Context(), cfg, quietOptions(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	large := padded(hosttest.HoldAll, ticketing.UsualModule+1)
	v, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: large})
	if err != nil || v.State != ticketing.VersionProbed || v.Size != len(large) {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := n.rules.SetRule(t.Context(), ticketing.SetRule{By: nobody, Name: "links", Active: v.Digest, IfMatch: ticketing.AnyMatch}); err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)

	n = openShards(t, fs, 1)
	set, err := n.rules.RuleSet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.host.Prepare(t.Context(), set); err != nil {
		t.Errorf("a module that is there: %v", err)
	}
	other := padded(hosttest.RejectAll, ticketing.UsualModule+1)
	_, _, err = n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: other})
	if ticketing.KindOf(err) != ticketing.TooLarge || !strings.Contains(err.Error(), "4194304 (rules.module_size)") {
		t.Errorf("a new one: %v", err)
	}
	all, err := n.rules.Plugins(t.Context())
	if err != nil || slices.ContainsFunc(all, func(v ticketing.PluginVersion) bool { return v.Digest == ticketing.DigestOf(other) }) {
		t.Errorf("it is registered: %v", err)
	}
	if _, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: hosttest.RejectAll}); err != nil {
		t.Errorf("a small one: %v", err)
	}
}
