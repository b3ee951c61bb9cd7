package backup

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Suffix is what the name of a backup that is one file ends with.
const Suffix = ".tar.zst"

// An Archive takes the files of a backup, in their order.
type Archive interface {
	Put(name string, data []byte) error
	// Close makes the backup durable. Without it, or after an error, there is none.
	Close() error
}

// tarArchive writes a tar.
type tarArchive struct{ w *tar.Writer }

// NewTar makes an archive that is a tar, uncompressed. Its Close does not close w.
func NewTar(w io.Writer) Archive { return tarArchive{tar.NewWriter(w)} }

func (t tarArchive) Put(name string, data []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if err := t.w.WriteHeader(h); err != nil {
		return err
	}
	_, err := t.w.Write(data)
	return err
}

func (t tarArchive) Close() error { return t.w.Close() }

// An Output is a new backup on disk.
type Output struct {
	Archive
	discard func() error
}

// Discard removes what there is of a backup that was not closed.
func (o *Output) Discard() error { return o.discard() }

// Create begins a backup: one file if the path ends with [Suffix], else a directory. Nothing may be there but an empty directory.
func Create(path string) (*Output, error) {
	if strings.HasSuffix(path, Suffix) {
		return createFile(path)
	}
	return createDir(path)
}

// dirArchive writes a directory.
type dirArchive struct{ dir string }

func createDir(dir string) (*Output, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty; name a new directory, or a file that ends with %s", dir, Suffix)
	}
	existed := err == nil
	if err := os.MkdirAll(filepath.Join(dir, shardsDir), 0o700); err != nil {
		return nil, err
	}
	discard := func() error {
		var errs []error
		for _, name := range []string{shardsDir, keysName, manifestName, sumName} {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
		}
		if !existed {
			errs = append(errs, os.Remove(dir))
		}
		return errors.Join(errs...)
	}
	return &Output{dirArchive{dir}, discard}, nil
}

func (d dirArchive) Put(name string, data []byte) error {
	if name == manifestName { // what it names is durable before it is there
		if err := syncDir(filepath.Join(d.dir, shardsDir)); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Join(d.dir, filepath.FromSlash(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d dirArchive) Close() error {
	return errors.Join(syncDir(d.dir), syncDir(filepath.Dir(filepath.Clean(d.dir))))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fileArchive writes a .tar.zst.
type fileArchive struct {
	tarArchive
	z    *zstd.Encoder
	file *os.File
	path string
}

// createFile writes beside the path; Close moves it there.
func createFile(path string) (*Output, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("there is a %s already", path)
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(2))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	a := &fileArchive{tarArchive{tar.NewWriter(z)}, z, f, path}
	discard := func() error {
		_ = f.Close() // Close has, perhaps
		if err := os.Remove(f.Name()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return &Output{a, discard}, nil
}

func (a *fileArchive) Close() error {
	err := errors.Join(a.tarArchive.Close(), a.z.Close())
	if err == nil {
		err = a.file.Sync()
	}
	if err = errors.Join(err, a.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(a.file.Name(), a.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(a.path))
}

// A source of a backup's files hands them out in their order, and io.EOF behind the last one. A reader is valid until the next call.
type files interface {
	next() (name string, r io.Reader, err error)
	Close() error
}

// openFiles opens a backup to read.
func openFiles(path string) (files, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openDir(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &tarFiles{src: z, t: tar.NewReader(z), close: func() error { z.Close(); return f.Close() }}, nil
}

// tarFiles reads a tar.
type tarFiles struct {
	src   io.Reader
	t     *tar.Reader
	close func() error
}

func (t *tarFiles) Close() error { return t.close() }

func (t *tarFiles) next() (string, io.Reader, error) {
	h, err := t.t.Next()
	if errors.Is(err, io.EOF) {
		return "", nil, t.end()
	}
	if err != nil {
		return "", nil, fmt.Errorf("the archive is damaged: %w", err)
	}
	if h.Typeflag != tar.TypeReg || !known(h.Name) || h.Size > limit(h.Name) {
		return "", nil, fmt.Errorf("%q is no part of a backup", h.Name)
	}
	return h.Name, t.t, nil
}

// end reads what is behind the tar: checksums come there, and nothing but padding may.
func (t *tarFiles) end() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := t.src.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return errors.New("the archive goes on behind its end")
			}
		}
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return fmt.Errorf("the archive is damaged: %w", err)
		}
	}
}

// dirFiles reads a directory.
type dirFiles struct {
	dir   string
	names []string
	open  *os.File
}

func openDir(dir string) (*dirFiles, error) {
	d := &dirFiles{dir: dir}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case e.IsDir() && (name == "." || name == shardsDir):
			return nil
		case !known(name) || !e.Type().IsRegular():
			return fmt.Errorf("%s holds %s, which is no part of a backup", dir, name)
		case name != keysName && name != manifestName && name != sumName:
			d.names = append(d.names, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.names = append(d.names, keysName, manifestName, sumName) // in the order of the archive; the walk has sorted the others
	return d, nil
}

func (d *dirFiles) next() (string, io.Reader, error) {
	if err := d.Close(); err != nil {
		return "", nil, err
	}
	for len(d.names) > 0 {
		name := d.names[0]
		d.names = d.names[1:]
		f, err := os.Open(filepath.Join(d.dir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) { // whoever reads the manifest finds out
			continue
		}
		if err != nil {
			return "", nil, err
		}
		d.open = f
		return name, f, nil
	}
	return "", nil, io.EOF
}

func (d *dirFiles) Close() error {
	if d.open == nil {
		return nil
	}
	f := d.open
	d.open = nil
	return f.Close()
}
