package compile_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"ticketing"
	"ticketing/internal/doctable"
	"ticketing/plugins/compile"
)

var update = flag.Bool("update", false, "rewrite the tables of the documentation")

// TestMain lets the test binary be the child: "compile" is what the program's own hidden command is called. The other words
// are children that go wrong.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "compile":
			os.Exit(compile.Child(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
		case "greedy":
			os.Exit(compile.Greedy())
		case "tired":
			os.Exit(compile.Tired())
		case "killed":
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		}
	}
	os.Exit(m.Run())
}

func compiler(t testing.TB, dir, word string) *compile.Compiler {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := compile.New(dir, exe, word)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// module has one function, which returns nothing; name makes it another module.
func module(name string) []byte {
	m := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b")
	return append(append(m, 0, byte(len(name)+1), byte(len(name))), name...)
}

// files returns the compiled files below a directory.
func files(t *testing.T, dir string) (found []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEnsureCompilesOnce(t *testing.T) {
	dir := t.TempDir()
	c := compiler(t, dir, "compile")
	first, err := c.Ensure(t.Context(), module("a"))
	if err != nil {
		t.Fatal(err)
	}
	made := files(t, dir)
	if len(made) != 1 {
		t.Fatalf("%q", made)
	}
	broken := compiler(t, dir, "killed") // of a child that cannot compile: it is not asked
	if again, err := broken.Ensure(t.Context(), module("a")); err != nil || again != first {
		t.Errorf("%q, %v", again, err)
	}
	for path := range map[string]bool{dir: true, filepath.Dir(first): true, first: true} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "tmp-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// The point of it all: what the child compiled is found here. The file's time says that nobody wrote it again.
func TestTheEngineFindsWhatTheChildCompiled(t *testing.T) {
	dir := t.TempDir()
	entry, err := compiler(t, dir, "compile").Ensure(t.Context(), module("a"))
	if err != nil {
		t.Fatal(err)
	}
	made := files(t, dir)
	old := time.Unix(1_000_000, 0)
	if err := os.Chtimes(made[0], old, old); err != nil {
		t.Fatal(err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(entry)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close(context.Background())
	r := wazero.NewRuntimeWithConfig(t.Context(), compile.Config().WithCompilationCache(cache).WithMemoryLimitPages(7))
	defer r.Close(context.Background())
	if _, err := r.CompileModule(t.Context(), module("a")); err != nil {
		t.Fatal(err)
	}
	if after := files(t, dir); len(after) != 1 {
		t.Errorf("%q", after)
	} else if info, err := os.Stat(after[0]); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("it was written again: %v, %v", info.ModTime(), err)
	}
}

func TestRefusedModules(t *testing.T) {
	c := compiler(t, t.TempDir(), "compile")
	wrong := bytes.Replace(module("a"), []byte("\x02\x00\x0b"), []byte("\x02\x00\x1a"), 1) // drops what is not there
	for name, m := range map[string][]byte{"text": []byte("hello"), "types": wrong} {
		if _, err := c.Ensure(t.Context(), m); ticketing.KindOf(err) != ticketing.Invalid || !strings.Contains(err.Error(), "malformed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A module is not to blame for a directory that takes no files, such as one on a full disk.
func TestDirectoryThatTakesNoFiles(t *testing.T) {
	entry, err := compiler(t, t.TempDir(), "compile").Ensure(t.Context(), module("a"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // what the engine makes in it, is there already and elsewhere
	if err := os.Symlink("/proc/self", filepath.Join(dir, filepath.Base(filepath.Dir(entry)))); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "compile", dir)
	child.Stdin = bytes.NewReader(module("a"))
	out, err := child.CombinedOutput()
	if child.ProcessState.ExitCode() != compile.ExitTrouble || !strings.HasPrefix(string(out), "the directory cannot be written: ") {
		t.Errorf("%v: %s", err, out)
	}
}

// A child that takes more time or memory than it may, or is killed, ends alone, and leaves nothing. Only what it took itself is the module's fault.
func TestChildrenThatDie(t *testing.T) {
	table := doctable.Table{Path: "../../docs/HOSTILE.md", Name: "compile", Head: []string{"a child that…", "is ended by", "the module is", "and the operator reads"}}
	for _, tc := range []struct {
		word, does, end string
		kind            ticketing.Kind
		says            string
	}{
		{"greedy", "takes all the memory there is", "its limit of 2 GiB", ticketing.Invalid, "more memory"},
		{"tired", "computes without end", "its limit of processor time", ticketing.Invalid, "more processor time"},
		{"killed", "is killed by the system", "the system", ticketing.Unavailable, "was stopped"},
	} {
		dir := t.TempDir()
		_, err := compiler(t, dir, tc.word).Ensure(t.Context(), module("a"))
		if ticketing.KindOf(err) != tc.kind || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", tc.word, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "tmp-*")); len(left) != 0 || len(files(t, dir)) != 0 {
			t.Errorf("%s left %q", tc.word, left)
		}
		becomes := "tried again"
		if ticketing.KindOf(err) == ticketing.Invalid {
			becomes = "rejected"
		}
		e := new(ticketing.Error)
		errors.As(err, &e)
		table.Add(tc.does, tc.end, becomes, e.Msg)
	}
	if *update {
		table.Write(t)
	}
	table.Check(t)
}

func TestTimeIsBounded(t *testing.T) {
	c := compiler(t, t.TempDir(), "compile")
	c.SetPatience(time.Nanosecond)
	if _, err := c.Ensure(t.Context(), module("a")); ticketing.KindOf(err) != ticketing.Unavailable || !strings.Contains(err.Error(), "in time") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.SetPatience(compile.Patience)
	if _, err := c.Ensure(ctx, module("a")); ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("a caller that is gone: %v", err)
	}
	if _, err := c.Ensure(t.Context(), module("a")); err != nil {
		t.Errorf("after a busy time: %v", err)
	}
}

// However many modules come at once, only so many children run; who waits may give up.
func TestChildrenAreBounded(t *testing.T) {
	c := compiler(t, t.TempDir(), "compile")
	free := c.Occupy()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Ensure(ctx, module("a")); ticketing.KindOf(err) != ticketing.Unavailable || !strings.Contains(err.Error(), "Other modules") {
		t.Errorf("%v", err)
	}
	free()
	for _, name := range []string{"a", "b"} {
		if _, err := c.Ensure(t.Context(), module(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	entry, err := compiler(t, dir, "compile").Ensure(t.Context(), module("a"))
	if err != nil {
		t.Fatal(err)
	}
	stale := time.Now().Add(-2 * time.Hour)
	for _, d := range []string{"tmp-old", "tmp-new", "wazero-v0-other"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(dir, "tmp-old"), stale, stale); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files(t, dir)[0], 600<<20); err != nil { // sparse
		t.Fatal(err)
	}
	c := compiler(t, dir, "compile")
	for name, want := range map[string]bool{"tmp-old": false, "tmp-new": true, "wazero-v0-other": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v", name, err == nil)
		}
	}
	if _, err := os.Stat(entry); err != nil {
		t.Errorf("the entry used last is gone: %v", err)
	}
	if err := os.Chtimes(entry, stale, stale); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ensure(t.Context(), module("b")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(entry); err == nil {
		t.Error("an old entry over the bound is kept")
	}
	if len(files(t, dir)) != 1 {
		t.Errorf("%q", files(t, dir))
	}
}
