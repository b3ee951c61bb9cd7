package clustertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// built is the binary under test; TICKETING_BINARY names one that is there already.
var built = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("TICKETING_BINARY"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "ticketing-cluster")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ticketing")
	out, err := exec.Command("go", "build", "-o", path, "ticketing/cmd/ticketing").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// Binary returns the path of the program, which is built once. Run removes it.
func Binary(tb testing.TB) string {
	tb.Helper()
	path, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// Next builds the program that comes after the one under test: it is of the same code, and knows one more cluster format.
func Next(tb testing.TB) string {
	tb.Helper()
	return build(tb, "-tags", "nextformat")
}

// Altered builds a program of another version: the one under test, but for a piece of one of its files. No file is changed; the go command
// compiles an overlay.
func Altered(tb testing.TB, file, from, to string) string {
	tb.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", file))
	if err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if strings.Count(string(text), from) != 1 {
		tb.Fatalf("the text to alter is not in %s, or more than once", file)
	}
	altered, overlay := filepath.Join(tb.TempDir(), "altered.go"), filepath.Join(tb.TempDir(), "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: altered}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(altered, []byte(strings.Replace(string(text), from, to, 1)), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		tb.Fatal(err)
	}
	return build(tb, "-overlay", overlay)
}

// build builds another program from the code of the one under test. It is removed with the test.
func build(tb testing.TB, flags ...string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "ticketing")
	if out, err := exec.Command("go", slices.Concat([]string{"build", "-o", path}, flags, []string{"ticketing/cmd/ticketing"})...).CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	return path
}

// Run is the body of a TestMain.
func Run(m *testing.M) int {
	if spec := os.Getenv(detourEnv); spec != "" {
		if err := handOn(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	code := m.Run()
	if path, err := built(); err == nil && os.Getenv("TICKETING_BINARY") == "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	return code
}

// Ports that nodes listen on come from below the range of those that outgoing connections get, so that a node which starts again finds its
// own free.
const firstPort, lastPort = 16_000, 32_000

var nextPort atomic.Int64

// listen opens a listener on a port of its own.
func listen(tb testing.TB) net.Listener {
	tb.Helper()
	nextPort.CompareAndSwap(0, int64(os.Getpid()*64))
	for range 1000 {
		port := firstPort + nextPort.Add(1)%(lastPort-firstPort)
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return ln
		}
	}
	tb.Fatal("no port is free")
	return nil
}

// freeAddress returns an address that nobody listens on.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	ln := listen(tb)
	defer ln.Close()
	return ln.Addr().String()
}

// indent makes a file's text a value in YAML.
func indent(text string) string {
	return "|\n    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}
