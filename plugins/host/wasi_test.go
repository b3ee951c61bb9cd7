package host_test

import (
	"fmt"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
)

const goManifest = `{"name": "go", "abi": "ticketing/1", "fields": ["title", "text"], "capabilities": ["wasi", "log", "time"], "limits": {"memoryPages": 512, "fuel": 50000000}}`

// goGuest builds the guest in stock Go, with the given manifest.
func goGuest(t testing.TB, manifest string) []byte {
	t.Helper()
	module, err := abi.AppendManifest(hosttest.GoGuest(t), []byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// A rule in stock Go runs, and the world around it is empty.
func TestStockGoGuest(t *testing.T) {
	module := goGuest(t, goManifest)
	h := newHost(t, module)
	j := openIn(t, h, ruleSet(1, uploaded("go", module, "")))
	if o := one(t, j, titled("", "much spam"), nil); o.Failure != "" || o.Action != ticketing.ActionHold {
		t.Fatalf("%+v", o)
	}
	if o := one(t, j, titled("", "fine"), nil); o.Failure != "" || o.Action != ticketing.ActionNone || o.Fuel == 0 {
		t.Fatalf("%+v", o)
	}
	world := fmt.Sprintf("0 args, 0 env, host %q, file false, unix %d, random ", "wasip1", noon.Unix())
	first := one(t, j, titled("world", "x"), nil)
	if !strings.HasPrefix(first.Detail, world) {
		t.Errorf("%+v\nwant %q", first, world)
	}
	other := openIn(t, newHost(t, module), ruleSet(1, uploaded("go", module, "")))
	if again := one(t, other, titled("world", "x"), nil); again.Detail != first.Detail {
		t.Errorf("on another host: %q, was %q", again.Detail, first.Detail)
	}
	one(t, j, titled("print", "hello"), nil)
	lines := h.Logs("go", 10)
	if len(lines) != 2 || lines[0].Text != "hello\n" || lines[0].Level != "info" || lines[1].Level != "warn" {
		t.Errorf("%+v", lines)
	}
	for range 300 { // the collector of the guest runs, and its memory stays within the limit
		if o := one(t, j, titled("garbage", "x"), nil); o.Failure != "" {
			t.Fatalf("%+v", o)
		}
	}
	for title, want := range map[string]string{"exit": "exit 3", "panic": "trap: unreachable", "wait": "too many host calls"} {
		if o := one(t, j, titled(title, "x"), nil); o.Failure != want || o.Action != ticketing.ActionHold {
			t.Errorf("%s: %+v, want %q", title, o, want)
		}
		if o := one(t, j, titled("", "much spam"), nil); o.Failure != "" || o.Action != ticketing.ActionHold {
			t.Errorf("after %s: %+v", title, o)
		}
	}
}

// Without the words for it there is no time and no log.
func TestWASIGivesWhatTheManifestNames(t *testing.T) {
	module := goGuest(t, strings.Replace(goManifest, `, "log", "time"`, "", 1))
	h := newHost(t, module)
	j := openIn(t, h, ruleSet(1, uploaded("go", module, "")))
	one(t, j, titled("print", "hello"), nil)
	if lines := h.Logs("go", 10); len(lines) != 0 {
		t.Errorf("%+v", lines)
	}
	if o := one(t, j, titled("world", "x"), nil); !strings.Contains(o.Detail, "unix 0,") {
		t.Errorf("%q", o.Detail)
	}
	_, err := h.Check(goGuest(t, strings.Replace(goManifest, `"wasi", `, "", 1)))
	refused(t, err, `must name the capability "wasi"`)
}
