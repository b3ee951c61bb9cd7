package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"
)

// What others wrote is what the record says, and everything on record is there.
func TestVendoredFiles(t *testing.T) {
	record, err := web.ReadFile("web/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := web.ReadDir("web/vendor")
	if err != nil {
		t.Fatal(err)
	}
	recorded := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".js") && !strings.HasSuffix(f.Name(), ".css") {
			continue
		}
		body, err := web.ReadFile("web/vendor/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		found := false
		for line := range strings.Lines(string(record)) {
			found = found || strings.HasPrefix(line, "| "+f.Name()+" |") && strings.Contains(line, "| "+hex.EncodeToString(sum[:])+" |")
		}
		if !found {
			t.Errorf("%s is not the file on record", f.Name())
		}
		recorded++
	}
	if recorded != 4 {
		t.Errorf("%d files", recorded)
	}
}

func TestAssetsAreCompressed(t *testing.T) {
	s := newSite(t)
	path := s.g.assets.links["pico.min.css"]
	plain := s.anonymous().do("GET", path, "", "Accept-Encoding", "identity, gzip;q=0").want(200)
	small := s.anonymous().do("GET", path, "", "Accept-Encoding", "br, gzip;q=0.5").want(200)
	if small.Header.Get("Content-Encoding") != "gzip" || plain.Header.Get("Content-Encoding") != "" || plain.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v %v", small.Header, plain.Header)
	}
	r, err := gzip.NewReader(bytes.NewReader(small.Body))
	if err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(r); err != nil || !bytes.Equal(all, plain.Body) || len(small.Body) > len(plain.Body)/4 {
		t.Errorf("%d bytes of %d: %v", len(small.Body), len(plain.Body), err)
	}
}
