// Package archtest fails the build when a package imports what the architecture does not let it. The table is the architecture's; change
// it first, and in a commit of its own.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// arrows says which of our packages a folder may import, by prefix of the path below the module. "" is the root package.
var arrows = map[string][]string{
	"":                {},
	"config":          {},
	"runtime/wire":    {""},
	"runtime/store":   {"", "config"},
	"runtime/pairs":   {},
	"runtime/replica": {"", "config", "runtime/store", "runtime/pairs"},
	"runtime/peer":    {"", "config", "runtime/store"},
	"runtime/shard":   {"", "config", "runtime/store", "runtime/replica", "runtime/wire"},
	"runtime/system":  {"", "config", "runtime/shard", "runtime/wire"},
	"actors":          {"", "config", "runtime"},
	"plugins":         {"", "config", "plugins", "internal/locale"},
	"gateway":         {"", "config", "gateway", "internal/labels", "internal/locale"},
	"internal/trace":  {""},
	"internal/backup": {"", "config", "runtime", "actors"},
	"internal/node":   {"", "config", "runtime", "actors", "plugins", "gateway", "internal/backup", "internal/mail", "internal/trace"},
	"internal/mail":   {""},
	"client":          {""},
	// the command line makes the files of a cluster where no node runs
	"internal/clusterconfig": {"", "config", "runtime/peer"},
	"internal/youtube":       {""},
	"internal/locale":        {""},
	// the command line and the pages read the same files
	"internal/labels":      {"", "internal/youtube"},
	"internal/authoring":   {"", "plugins", "internal/labels"},
	"internal/bench":       {"", "config", "client", "internal/clusterconfig", "internal/youtube", "plugins"},
	"cmd/ticketing":        {"", "config", "client", "internal", "gateway", "plugins"},
	"internal/archtest":    {},
	"internal/mutants":     {},
	"internal/doctable":    {},
	"internal/cluster":     {},
	"internal/clustertest": {"", "config", "runtime", "client", "internal"},
	"internal/contract":    {"", "config", "runtime", "actors", "plugins", "gateway", "client", "internal"},
}

// foreign says who alone may import a third-party module.
var foreign = map[string][]string{
	"github.com/asynkron/protoactor-go":   {"runtime/system"},
	"google.golang.org/grpc":              {"runtime/system", "runtime/peer"},
	"github.com/tetratelabs/wazero":       {"plugins"},
	"github.com/santhosh-tekuri":          {"plugins/host"},
	"github.com/mtibben/confusables":      {"plugins/host"},
	"github.com/hashicorp/raft":           {"runtime/replica"},
	"github.com/valyala/fasthttp":         {"gateway", "internal/bench"},
	"github.com/golang-jwt/jwt":           {"gateway"},
	"github.com/wneessen/go-mail":         {"internal/mail"},
	"github.com/emersion/go-smtp":         {"internal/mail"},
	"github.com/spf13/cobra":              {"cmd/ticketing"},
	"github.com/knadh/koanf":              {"config"},
	"github.com/cockroachdb/pebble":       {"runtime", "actors/query", "internal/backup", "internal/node", "internal/contract", "internal/clustertest"},
	"github.com/anishathalye/porcupine":   {"internal/clustertest"},
	"filippo.io/age":                      {"internal/backup"},
	"github.com/klauspost/compress":       {"internal/backup"},
	"go.opentelemetry.io/otel":            {"gateway", "internal/trace"},
	"github.com/prometheus/client_golang": {"gateway", "cmd/ticketing", "internal/node"},
}

const module = "ticketing"

func TestArrows(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".git") || d.Name() == "testdata" || d.Name() == "bench" && filepath.Dir(path) == root) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		check(t, root, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Fatalf("only %d files were looked at", files)
	}
}

func check(t *testing.T, root, path string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if rel = filepath.ToSlash(rel); rel == "." {
		rel = ""
	}
	for _, spec := range f.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if reason := refused(rel, target); reason != "" {
			t.Errorf("%s imports %s: %s", path, target, reason)
		}
	}
}

// refused returns why a package may not import a target; empty if it may.
func refused(from, target string) string {
	for mod, users := range foreign {
		if within(target, mod) && !anyWithin(from, users) {
			return "only " + strings.Join(users, ", ") + " may"
		}
	}
	if !within(target, module) {
		if from == "" && strings.Contains(strings.Split(target, "/")[0], ".") {
			return "the domain imports the standard library only"
		}
		return ""
	}
	target = strings.TrimPrefix(strings.TrimPrefix(target, module), "/")
	var allowed []string
	longest := -1
	for folder, list := range arrows {
		if (folder == from || folder != "" && within(from, folder)) && len(folder) > longest {
			allowed, longest = list, len(folder)
		}
	}
	if longest < 0 {
		return "the package " + from + " has no row in the table"
	}
	for _, a := range allowed {
		if target == a || a != "" && within(target, a) || within(target, from) && from != "" {
			return ""
		}
	}
	if from != "" && within(target, from) {
		return ""
	}
	return "no arrow leads there"
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

func anyWithin(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if within(path, p) {
			return true
		}
	}
	return false
}

// TestArrowsBite proves that the check can fail.
func TestArrowsBite(t *testing.T) {
	for _, tc := range [][2]string{
		{"actors/posts", "github.com/tetratelabs/wazero"}, {"gateway", "ticketing/actors/posts"}, {"", "github.com/fxamacker/cbor/v2"},
		{"plugins/host", "ticketing/runtime/store"}, {"runtime/shard", "ticketing/actors/posts"}, {"gateway", "github.com/asynkron/protoactor-go/actor"},
		{"runtime/store", "ticketing/runtime/shard"}, {"nowhere", "ticketing"},
	} {
		if refused(tc[0], tc[1]) == "" {
			t.Errorf("%q may import %q", tc[0], tc[1])
		}
	}
	if reason := refused("internal/node", "ticketing/actors/posts"); reason != "" {
		t.Error(reason)
	}
}
