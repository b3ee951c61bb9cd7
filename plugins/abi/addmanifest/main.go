// Command addmanifest appends a manifest to a module: addmanifest DIR IN OUT, where DIR holds plugin.json. It is what builds
// the rules of this repository; authors use "ticketing plugin build".
package main

import (
	"fmt"
	"os"

	"ticketing/plugins/abi"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: addmanifest DIR IN OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "addmanifest:", err)
		os.Exit(1)
	}
}

func run(dir, in, out string) error {
	manifest, err := abi.ReadManifest(os.DirFS(dir))
	if err != nil {
		return err
	}
	module, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	if module, err = abi.AppendManifest(module, manifest); err != nil {
		return err
	}
	return os.WriteFile(out, module, 0o644)
}
