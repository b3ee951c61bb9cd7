package node

import (
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/plugins/compile"
)

// compiler returns what compiles modules apart from this process, nil if nothing does. What it makes lies in the data directory and can
// be made again, so that no backup has it.
func (n *Node) compiler() (*compile.Compiler, error) {
	if n.opts.compiler != nil {
		return n.opts.compiler, nil
	}
	if len(n.opts.Compile) == 0 || n.opts.FS != vfs.Default {
		return nil, nil
	}
	return compile.New(filepath.Join(n.cfg.Data, "compiled"), n.opts.Compile...)
}
