package node

import (
	"slices"
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
