package control

import (
	"testing"
	"time"

	"ticketing"
)

// Records from before states were kept say "admitted" of everything; the rule set tells what they are. A record with a time tells itself.
func TestStateOfOldRecords(t *testing.T) {
	active, previous, idle := ticketing.DigestOf([]byte("a")), ticketing.DigestOf([]byte("b")), ticketing.DigestOf([]byte("c"))
	set := &ticketing.RuleSet{Rules: []ticketing.Rule{{Name: "spam", Active: idle}, {Name: "links", Active: active, Previous: previous}}}
	for d, want := range map[ticketing.Digest]ticketing.VersionState{
		active: ticketing.VersionActive, previous: ticketing.VersionStandby, idle: ticketing.VersionAdmitted,
	} {
		old := ticketing.PluginVersion{Name: "links", Digest: d, State: ticketing.VersionAdmitted}
		if got := stateOf(&old, set); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		old.ChangedAt = time.Now()
		if got := stateOf(&old, set); got != ticketing.VersionAdmitted {
			t.Errorf("a new record: %s", got)
		}
	}
}

// The order of versions is that of their uploads, not of their names.
func TestUploadOrder(t *testing.T) {
	if !(upload("") < upload("v2") && upload("v2") < upload("v10")) {
		t.Error(upload(""), upload("v2"), upload("v10"))
	}
}
