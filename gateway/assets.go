package gateway

import (
	"bytes"
	"embed"
	"encoding/hex"
	"hash/fnv"
	"path"
	"strings"

	"github.com/valyala/fasthttp"

	"ticketing"
)

//go:embed web
var web embed.FS

// files are what pages link to: our own, and what others wrote, whose versions and sums web/vendor/README.md records.
var files = [...]string{
	"web/app.css", "web/docs.css", "web/app.js", "web/icon.svg",
	"web/vendor/pico.min.css", "web/vendor/htmx.min.js", "web/vendor/uplot.min.css", "web/vendor/uplot.min.js",
}

// assets are the embedded files under names that tell their content, so that browsers may keep them for ever. They are
// compressed once, at start.
type assets struct {
	links  map[string]string // from the file's own name to its path
	served map[string]asset  // by the name in the path
}

type asset struct {
	body, gzip []byte
	typ        string
}

var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func newAssets() (*assets, error) {
	a := &assets{links: make(map[string]string), served: make(map[string]asset)}
	for _, f := range files {
		body, err := web.ReadFile(f)
		if err != nil {
			return nil, ticketing.Wrap("gateway.newAssets", err)
		}
		name, ext := path.Base(f), path.Ext(f)
		served := contentName(strings.TrimSuffix(name, ext), ext, body)
		a.links[name] = "/assets/" + served
		a.served[served] = asset{body, fasthttp.AppendGzipBytesLevel(nil, body, fasthttp.CompressBestCompression), assetTypes[ext]}
	}
	return a, nil
}

// contentName names a file by its content.
func contentName(name, ext string, content []byte) string {
	h := fnv.New64a()
	h.Write(content)
	return name + "." + hex.EncodeToString(h.Sum(nil)) + ext
}

func (g *Gateway) asset(c *call) error {
	name, _ := c.UserValue("file").(string)
	a, ok := g.assets.served[name]
	if !ok {
		return notFound()
	}
	c.Response.Header.SetCanonical(hdrCache, valForEver)
	c.SetContentType(a.typ)
	c.compressed(a.body, a.gzip)
	return nil
}

var (
	valForEver  = []byte("public, max-age=31536000, immutable")
	hdrVary     = []byte("Vary")
	hdrEncoding = []byte("Content-Encoding")
	valAccept   = []byte("Accept-Encoding")
	valGzip     = []byte("gzip")
)

// compressed sends one of two forms of a body, by what the client takes.
func (c *call) compressed(plain, gzip []byte) {
	c.Response.Header.SetCanonical(hdrVary, valAccept)
	if !c.takesGzip() {
		c.Response.SetBodyRaw(plain)
		return
	}
	c.Response.Header.SetCanonical(hdrEncoding, valGzip)
	c.Response.SetBodyRaw(gzip)
}

// takesGzip reports whether the client names gzip without refusing it.
func (c *call) takesGzip() bool {
	for part := range bytes.SplitSeq(c.Request.Header.Peek(fasthttp.HeaderAcceptEncoding), []byte{','}) {
		coding, q, _ := bytes.Cut(part, []byte{';'})
		if string(bytes.TrimSpace(coding)) == "gzip" {
			q = bytes.TrimLeft(bytes.TrimSpace(q), "q= ")
			return len(q) == 0 || len(bytes.Trim(q, "0.")) > 0
		}
	}
	return false
}
