// Package hosttest holds small modules for tests: rules that always answer the same, and rules that fail in all ways that
// the host promises to survive. Their sources are in testdata; plugins/rules/build.sh builds them.
package hosttest

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"ticketing"
)

// The modules. Nobody may change their bytes.
var (
	//go:embed testdata/approve_all.wasm
	ApproveAll []byte // allows everything
	//go:embed testdata/reject_all.wasm
	RejectAll []byte // rejects everything: score 10000, severity 255, code 7
	//go:embed testdata/hold_all.wasm
	HoldAll []byte // holds everything: code 8
	//go:embed testdata/empty.wasm
	Empty []byte // has nothing to say
	//go:embed testdata/trap.wasm
	Trap []byte // fails on everything
	//go:embed testdata/boom.wasm
	Boom []byte // fails on texts that contain "boom"; its code counts the items that the instance has seen
	//go:embed testdata/loop.wasm
	Loop []byte // never comes back
	//go:embed testdata/bomb.wasm
	Bomb []byte // calls without loops, for a while
	//go:embed testdata/recurse.wasm
	Recurse []byte // recurses until the stack is full
	//go:embed testdata/grow.wasm
	Grow []byte // takes 4 MiB more with every item
	//go:embed testdata/bad_verdict.wasm
	BadVerdict []byte // returns the number that the text spells in hexadecimal
	//go:embed testdata/picky.wasm
	Picky []byte // starts only with {"accept": 1}
	//go:embed testdata/probe.wasm
	Probe []byte // does what the title says
	//go:embed testdata/ask.wasm
	Ask []byte // does what the title says, with the newer imports
	//go:embed testdata/words.wasm
	Words []byte // holds what has a word of its first set
	//go:embed testdata/hog.wasm
	Hog []byte // takes all the memory there is, and falls over
)

// TwentyWords is what benchmarks of rules with words look for, in plugins/host and in bench/peers. Most are in the comments of
// examples/data, and some begin with others.
func TwentyWords() []string {
	return []string{
		"cash", "channel", "check", "click", "earn", "facebook", "follow", "free", "gift", "giveaway",
		"money", "promote", "sub", "subscribe", "twitter", "visit", "vote", "website", "win", "winner",
	}
}

// What they look at, 200 bytes each: Clean has none of the words, and no built-in rule finds anything in it; Spam has a word near its end.
const (
	Clean = "The weather was fine and we walked along the river for hours. The weather was fine and we walked along the river for hours. " +
		"The weather was fine and we walked along the river for hours. The weather wa"
	Spam = "The weather was fine and we walked along the river for hours. The weather was fine and we walked along the river for hours. " +
		"The weather was fine and we walked along the river, then for FREE pizza home"
)

// GoGuest builds the rule in testdata/goguest, which is written in stock Go.
func GoGuest(t testing.TB) []byte {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	return BuildGo(t, filepath.Join(filepath.Dir(here), "testdata", "goguest"))
}

// BuildGo builds the rule in a directory with the stock Go toolchain.
func BuildGo(t testing.TB, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-trimpath", "-o", out, "main.go")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// Source is a module source over a fixed list of modules.
type Source map[ticketing.Digest][]byte

// NewSource returns a source of the given modules.
func NewSource(modules ...[]byte) Source {
	s := Source{}
	for _, m := range modules {
		s[ticketing.DigestOf(m)] = m
	}
	return s
}

// Module implements ticketing.ModuleSource.
func (s Source) Module(_ context.Context, d ticketing.Digest) ([]byte, error) {
	if m, ok := s[d]; ok {
		return m, nil
	}
	return nil, ticketing.Errorf(ticketing.NotFound, "There is no module %v.", d)
}
