package authoring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/sdk"
)

// Built is a module that was built.
type Built struct {
	Path     string             `json:"path"`
	Bytes    int                `json:"bytes"`
	Digest   ticketing.Digest   `json:"digest"`
	Manifest ticketing.Manifest `json:"manifest"`
}

// Build builds the rule in a directory with the tools of its language, appends the manifest, and writes NAME.wasm beside the
// source, where NAME is the manifest's. An error leaves a module that is there as it is.
func Build(ctx context.Context, dir string) (Built, error) {
	raw, err := abi.ReadManifest(os.DirFS(dir))
	if err != nil {
		return Built{}, fmt.Errorf("%s: %w", dir, err)
	}
	manifest, _, err := abi.ParseManifest(raw)
	if err != nil {
		return Built{}, err
	}
	if err := CheckName(manifest.Name); err != nil {
		return Built{}, fmt.Errorf("%s: %w", filepath.Join(dir, abi.ManifestFile), err)
	}
	tmp, err := os.MkdirTemp("", "ticketing-build-")
	if err != nil {
		return Built{}, err
	}
	defer os.RemoveAll(tmp)
	module, err := compile(ctx, dir, tmp)
	if err != nil {
		return Built{}, err
	}
	if module, err = abi.AppendManifest(module, raw); err != nil {
		return Built{}, err
	}
	out := filepath.Join(dir, manifest.Name+".wasm")
	return Built{out, len(module), ticketing.DigestOf(module), manifest}, replace(out, module)
}

// replace writes a file so that it is the old or the new one at every moment.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".build-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(data); err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// compile returns the module that a directory's source gives.
func compile(ctx context.Context, dir, tmp string) ([]byte, error) {
	goFiles, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	cFiles, _ := filepath.Glob(filepath.Join(dir, "*.c"))
	out := filepath.Join(tmp, "rule.wasm")
	var err error
	switch {
	case len(goFiles) > 0 && len(cFiles) > 0:
		return nil, fmt.Errorf("%s has sources in Go and in C; a rule is written in one of them", dir)
	case len(goFiles) > 0:
		err = compileGo(ctx, dir, out)
	case len(cFiles) > 0:
		err = compileC(ctx, dir, tmp, cFiles, out)
	default:
		return nil, fmt.Errorf("%s has no source: neither .go nor .c", dir)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func compileGo(ctx context.Context, dir, out string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("go is not installed; get it from https://go.dev/dl or your distribution")
	}
	c := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, ".")
	c.Dir = dir
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off")
	return runTool(c)
}

func compileC(ctx context.Context, dir, tmp string, sources []string, out string) error {
	clang := os.Getenv("CLANG")
	if clang == "" {
		clang = "clang"
	}
	for _, tool := range []string{clang, "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not installed; on Debian or Ubuntu: apt-get install --no-install-recommends clang lld", tool)
		}
	}
	files, err := sdk.C()
	if err != nil {
		return err
	}
	for name, content := range files { // for a directory that has none of its own
		if err := os.WriteFile(filepath.Join(tmp, name), content, 0o644); err != nil {
			return err
		}
	}
	args := append([]string{"--target=wasm32", "-std=c11", "-O2", "-g0", "-ffreestanding", "-fno-ident", "-nostdlib", "-mbulk-memory",
		"-Wall", "-Wextra", "-I" + dir, "-I" + tmp, "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=16384", "-o", out}, sources...)
	return runTool(exec.CommandContext(ctx, clang, args...))
}

// runTool runs a compiler; what it says is the error.
func runTool(c *exec.Cmd) error {
	said, err := c.CombinedOutput()
	if err != nil {
		return &ToolError{Tool: filepath.Base(c.Path), Said: strings.TrimSpace(string(said)), Err: err}
	}
	return nil
}

// A ToolError is a compiler that failed, and what it said.
type ToolError struct {
	Tool, Said string
	Err        error
}

func (e *ToolError) Error() string {
	if e.Said == "" {
		return e.Tool + ": " + e.Err.Error()
	}
	return e.Tool + " failed:\n" + e.Said
}

func (e *ToolError) Unwrap() error { return e.Err }
