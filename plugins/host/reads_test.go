package host

import (
	"bytes"
	"testing"
	"time"
)

// FuzzReads holds the reading of kept answers to its promise: whatever is kept, it answers or says that it cannot, and a whole
// record reads back as it was written.
func FuzzReads(f *testing.F) {
	var c call
	c.readSum(7)
	c.readValue([]byte("value"), true)
	c.readValue(nil, false)
	c.readValue(nil, true)
	c.readSum(-1 << 63)
	c.readFull()
	c.readFull()
	f.Add(c.reads, "svvvspsp")
	f.Add([]byte{readValue, 0xff}, "v")
	f.Add([]byte{readSum}, "s")
	f.Fuzz(func(t *testing.T, kept []byte, asks string) {
		r := recorded{rest: kept}
		var again call
		for _, a := range asks {
			if a == 's' {
				if sum, ok := r.AddCounter("", 0, nil, 0, 0, time.Time{}); r.wrong {
				} else if !ok {
					again.readFull()
				} else {
					again.readSum(sum)
				}
				continue
			}
			if a == 'p' {
				if !r.SetValue("", nil, nil, 0, time.Time{}) {
					again.readFull()
				}
				continue
			}
			if v, ok := r.Value("", nil, time.Time{}); !r.wrong {
				again.readValue(v, ok)
			}
		}
		if r.fault() == nil && len(again.reads) > len(kept) {
			t.Errorf("%x is read as %x", kept, again.reads)
		}
		check := recorded{rest: again.reads}
		for range asks {
			if len(check.rest) == 0 {
				break
			}
			if check.rest[0] == readSum {
				check.AddCounter("", 0, nil, 0, 0, time.Time{})
			} else if check.rest[0] == readFull {
				check.SetValue("", nil, nil, 0, time.Time{})
			} else if v, _ := check.Value("", nil, time.Time{}); len(v) > 0 && !bytes.Contains(kept, v) {
				t.Errorf("%x was never kept", v)
			}
		}
		if check.fault() != nil {
			t.Errorf("%x cannot be read", again.reads)
		}
	})
}
