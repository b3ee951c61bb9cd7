package ticketing

import "slices"

// VersionState is where a plugin version is in its life. The words are on disk and in the API: never change one.
type VersionState string

// The states. A version is uploaded, admitted, compiled and probed on its way to a rule; there it is shadow, canary or
// active; a version that was replaced drains and then stands by until there is a newer one to go back to.
const (
	VersionUploaded    VersionState = "uploaded"    // its bytes are stored
	VersionAdmitted    VersionState = "admitted"    // it passed the static checks
	VersionCompiled    VersionState = "compiled"    // it compiles within the limits
	VersionProbed      VersionState = "probed"      // its golden tests pass on this server
	VersionShadow      VersionState = "shadow"      // it judges, and is counted only
	VersionCanary      VersionState = "canary"      // it judges a share of the authors
	VersionActive      VersionState = "active"      // it judges
	VersionDraining    VersionState = "draining"    // replaced, while some shard may still judge by it
	VersionStandby     VersionState = "standby"     // replaced, and kept to go back to; retired by the rule's next change but for what a rollback would activate
	VersionRetired     VersionState = "retired"     // out of use; it can be probed again
	VersionRejected    VersionState = "rejected"    // refused, with the reason; the same bytes uploaded again begin anew
	VersionQuarantined VersionState = "quarantined" // it failed too often, or lacks a signature, and may not judge until a time
)

// versionNext is the transitions there are.
var versionNext = map[VersionState][]VersionState{
	"":                 {VersionUploaded},
	VersionUploaded:    {VersionAdmitted, VersionRejected},
	VersionAdmitted:    {VersionCompiled, VersionRejected},
	VersionCompiled:    {VersionProbed, VersionRejected},
	VersionProbed:      {VersionShadow, VersionCanary, VersionActive, VersionRetired, VersionCompiled},
	VersionShadow:      {VersionCanary, VersionActive, VersionStandby, VersionRetired, VersionQuarantined},
	VersionCanary:      {VersionShadow, VersionActive, VersionStandby, VersionRetired, VersionQuarantined},
	VersionActive:      {VersionDraining, VersionQuarantined, VersionRetired},
	VersionDraining:    {VersionStandby, VersionActive, VersionQuarantined, VersionRetired, VersionShadow, VersionCanary},
	VersionStandby:     {VersionShadow, VersionCanary, VersionActive, VersionRetired, VersionQuarantined},
	VersionRetired:     {VersionCompiled, VersionProbed, VersionRejected, VersionShadow, VersionCanary, VersionActive},
	VersionRejected:    {VersionUploaded},
	VersionQuarantined: {VersionStandby, VersionActive, VersionRetired},
}

// CanBecome reports whether a version may go from one state to another. The empty state is before the upload.
func (s VersionState) CanBecome(next VersionState) bool { return slices.Contains(versionNext[s], next) }

// Known reports whether this version of the program knows the state.
func (s VersionState) Known() bool {
	_, ok := versionNext[s]
	return ok && s != ""
}

// Runnable reports whether a rule may use a version in this state: it has passed its golden tests and is not locked up.
func (s VersionState) Runnable() bool {
	return s.CanBecome(VersionActive) && s != VersionQuarantined || s == VersionActive
}
