package gateway

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"ticketing"
)

// form is what a page's form sent. It is a copy: it outlives the request.
type form struct {
	values   url.Values
	file     []byte // of an upload
	fileName string // "": none was chosen
}

// get returns a field, "" if it is not there.
func (f *form) get(name string) string { return f.values.Get(name) }

// id reads a field that names an item; no item is the zero ID.
func (f *form) id(name string) (ticketing.ID, error) {
	var id ticketing.ID
	if err := id.UnmarshalText([]byte(f.get(name))); err != nil {
		return id, ticketing.InvalidField(name, "This is not an id.")
	}
	return id, nil
}

// form reads the body of a request from a page, once.
func (c *call) form() (*form, error) {
	if c.sent != nil {
		return c.sent, nil
	}
	body, err := c.body("application/x-www-form-urlencoded", "multipart/form-data")
	if err != nil {
		return nil, err
	}
	f := &form{}
	if bytes.EqualFold(c.mediaType(), []byte("multipart/form-data")) {
		err = f.readParts(body, string(c.Request.Header.ContentType()))
	} else if f.values, err = url.ParseQuery(string(body)); err != nil {
		err = ticketing.Errorf(ticketing.BadRequest, "The form could not be read.")
	}
	if err == nil {
		err = f.normalize()
	}
	if err != nil {
		return nil, err
	}
	c.sent = f
	return f, nil
}

// maxParts bounds the fields of an upload.
const maxParts = 40

// readParts reads a form with a file. Its body is in memory already, and so bounded.
func (f *form) readParts(body []byte, contentType string) error {
	fault := ticketing.Errorf(ticketing.BadRequest, "The form could not be read.")
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return fault
	}
	f.values = url.Values{}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range maxParts {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fault
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return fault
		}
		if p.FormName() == "file" {
			f.file, f.fileName = b, p.FileName()
		} else {
			f.values.Add(p.FormName(), string(b))
		}
	}
	return fault
}

// normalize checks the encoding, and makes line ends what they were before the browser sent them.
func (f *form) normalize() error {
	for name, all := range f.values {
		for i, v := range all {
			if !utf8.ValidString(v) {
				return ticketing.InvalidField(name, "This is not valid UTF-8.")
			}
			all[i] = strings.ReplaceAll(v, "\r\n", "\n")
		}
	}
	return nil
}

// formVersion reads the version that whoever sent the form has seen. A form was made from one, so that unlike If-Match it never stands for any.
func formVersion(f *form) (uint64, error) {
	n, err := strconv.ParseUint(f.get("version"), 10, 64)
	if err != nil || n == ticketing.AnyMatch {
		return 0, ticketing.Errorf(ticketing.BadRequest, "The form does not say which version it changes.")
	}
	return n, nil
}
