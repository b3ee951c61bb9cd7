package gateway

import (
	"bytes"
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"

	"ticketing"
	"ticketing/gateway/openapi"
)

// description is what the API says about itself. It is made when somebody first asks.
type description struct {
	load func() (*described, error)
}

type described struct {
	json, gzip []byte
	etag       []byte
	reference  *openapi.Reference
}

func newDescription() *description {
	return &description{load: sync.OnceValues(func() (*described, error) {
		doc, err := openapi.Load()
		if err != nil {
			return nil, ticketing.Wrap("gateway.description", err)
		}
		model, err := doc.Model()
		if err != nil {
			return nil, ticketing.Wrap("gateway.description", err)
		}
		h := fnv.New64a()
		h.Write(doc.JSON())
		return &described{
			json:      doc.JSON(),
			gzip:      fasthttp.AppendGzipBytesLevel(nil, doc.JSON(), fasthttp.CompressBestCompression),
			etag:      strconv.AppendQuote(nil, hex.EncodeToString(h.Sum(nil))),
			reference: model.Reference(),
		}, nil
	})}
}

// valShort lets the description be kept for a while: it changes with the server's version only.
var valShort = []byte("public, max-age=300")

// openAPI answers the description as JSON.
func (g *Gateway) openAPI(c *call) error {
	d, err := g.spec.load()
	if err != nil {
		return err
	}
	h := &c.Response.Header
	h.SetCanonical(hdrCache, valShort)
	h.SetCanonical(hdrETag, d.etag)
	h.SetCanonical(hdrVary, valAccept)
	if bytes.Equal(c.Request.Header.Peek(fasthttp.HeaderIfNoneMatch), d.etag) {
		c.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	c.SetContentTypeBytes(typeJSON)
	c.compressed(d.json, d.gzip)
	return nil
}
