package conformance

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
)

// Module returns a language's guest with its manifest in it. The one in Go is built: it is too big to be committed, and Go is there.
func Module(t testing.TB, lang string) []byte {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), lang)
	manifest, err := abi.ReadManifest(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	if lang == "go" {
		code = hosttest.BuildGo(t, dir)
	} else if code, err = os.ReadFile(filepath.Join(dir, "guest.wasm")); err != nil {
		t.Fatal(err)
	}
	module, err := abi.AppendManifest(code, manifest)
	if err != nil {
		t.Fatal(err)
	}
	return module
}
