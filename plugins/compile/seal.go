package compile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// sealName is the file in an entry that holds the sha256 of the others. The engine's own checksum covers a part only: it runs, and
// dies of, a file whose head is damaged.
const sealName = "sha256"

// seal writes an entry's seal.
func seal(entry string) error {
	sum, err := sumOf(entry)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(entry, sealName), sum, 0o600)
}

// intact reports whether there is an entry, and its files are as they were sealed.
func intact(entry string) (bool, error) {
	want, err := os.ReadFile(filepath.Join(entry, sealName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	sum, err := sumOf(entry)
	return bytes.Equal(sum, want), err
}

// sumOf returns the sha256 of the names and contents of all files of an entry but the seal.
func sumOf(entry string) ([]byte, error) {
	h := sha256.New()
	err := filepath.WalkDir(entry, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == filepath.Join(entry, sealName) {
			return err
		}
		name, err := filepath.Rel(entry, path)
		if err != nil {
			return err
		}
		h.Write(append([]byte(name), 0))
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(h, f)
		return err
	})
	return h.Sum(nil), err
}
