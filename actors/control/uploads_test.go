package control_test

import (
	"testing"
	"time"

	"ticketing"
	"ticketing/actors/control"
)

// parts is a control service that gets parts of modules.
type parts struct{ *registry }

func newParts(t *testing.T) parts {
	c, a := openSpec(t, control.Older, func() int { return ticketing.PlatformFormat })
	return parts{&registry{c, t, a, time.Now().UTC().Truncate(time.Millisecond)}}
}

// put sends three parts of a module that is never registered.
func (p parts) put(by ticketing.ID, name byte) ticketing.Digest {
	p.t.Helper()
	d := ticketing.DigestOf([]byte{name})
	for i := range uint32(3) {
		must(p.t, p.PutPart(p.t.Context(), p.at, by, d, i, []byte{name, byte(i)}))
	}
	return d
}

// there checks of which modules there is everything, or nothing.
func (p parts) there(want bool, digests ...ticketing.Digest) {
	p.t.Helper()
	for i, d := range digests {
		for n := range uint32(3) {
			if _, err := p.Part(p.t.Context(), d, n); (err == nil) != want {
				p.t.Errorf("module %d, part %d: %v", i, n, err)
			}
		}
	}
}

func (p parts) sweep() {
	p.t.Helper()
	_, err := p.SweepUploads(p.t.Context(), p.at)
	must(p.t, err)
}

// whole checks that a module can be read.
func (p parts) whole(d ticketing.Digest) {
	p.t.Helper()
	_, err := p.Module(p.t.Context(), d)
	must(p.t, err)
}

// TestAbandonedUploads: parts that nobody registers go after a while, and before that an operator has a few modules of them at most. What is
// registered stays as it is, whoever sends a part of it.
func TestAbandonedUploads(t *testing.T) {
	p := newParts(t)
	ann, bob := ticketing.NewID(1, p.at, 1), ticketing.NewID(1, p.at, 2)
	kept := p.upload("kept", "registered")
	var ds []ticketing.Digest
	for i := range control.MaxUploads + 2 {
		ds = append(ds, p.put(ann, byte(i)))
		p.at = p.at.Add(time.Minute)
	}
	other := p.put(bob, 100)
	p.there(false, ds[:2]...)
	p.there(true, ds[2:]...)
	must(t, p.PutPart(t.Context(), p.at, ann, kept, 0, []byte("something else")))
	p.whole(kept)

	p.sweep() // nothing is old enough
	p.there(true, ds[2:]...)
	p.at = p.at.Add(control.KeepUpload - 3*time.Minute)
	p.sweep()
	p.there(false, ds[:4]...)
	p.there(true, append(ds[4:], other)...)
	p.at = p.at.Add(control.KeepUpload)
	p.put(bob, 101) // the next upload sweeps as well
	p.there(false, append(ds, other)...)
	p.whole(kept)
}

// TestPartsWithoutRecord: parts from before there were records of them go as well, a while after
// the first sweep has found them; nobody has to become leader for that.
func TestPartsWithoutRecord(t *testing.T) {
	p := newParts(t)
	kept := p.upload("kept", "registered")
	old := p.put(ticketing.ID{}, 1)
	must(t, p.Forget(t.Context(), old))
	p.at = p.at.Add(2 * control.KeepUpload)
	p.sweep()
	p.there(true, old)
	p.at = p.at.Add(control.KeepUpload)
	p.sweep()
	p.there(false, old)
	p.whole(kept)
}
