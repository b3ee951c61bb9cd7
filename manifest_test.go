package ticketing

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// TestLimitsByName: a limit has one name everywhere, and every limit has one.
func TestLimitsByName(t *testing.T) {
	var l RuleLimits
	want := map[string]uint64{}
	for i, name := range LimitNames() {
		want[name] = uint64(i + 1)
		if err := l.Set(name, want[name]); err != nil {
			t.Error(err)
		}
	}
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]uint64
	if err := json.Unmarshal(b, &got); err != nil || len(got) != 10 {
		t.Fatalf("%s, %v", b, err)
	}
	for name, n := range want {
		if got[name] != n || l.Get(name) != n {
			t.Errorf("%s is %d in JSON and %d, want %d", name, got[name], l.Get(name), n)
		}
	}
	if err := l.Set("speed", 1); KindOf(err) != Invalid || !strings.Contains(err.Error(), "outputBytes") || l.Get("speed") != 0 {
		t.Errorf("%v", err)
	}
	if err := l.Set("callDepth", math.MaxUint64); err != nil || l.CallDepth != math.MaxUint32 {
		t.Errorf("%d, %v", l.CallDepth, err)
	}
}

func TestLimitsWithin(t *testing.T) {
	most := RuleLimits{Fuel: 10, HostCalls: 5}
	if err := (RuleLimits{Fuel: 10}).Within(most); err != nil {
		t.Error(err)
	}
	err := RuleLimits{Fuel: 11, HostCalls: 6}.Within(most)
	if e, ok := err.(*Error); !ok || e.Kind != Invalid || len(e.Fields) != 2 || e.Fields[1].Field != "limits.hostCalls" || !strings.Contains(e.Fields[1].Message, "from 1 to 5") {
		t.Errorf("%+v", err)
	}
}
