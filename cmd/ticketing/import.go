package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"ticketing/client"
)

func (a *app) imports() *cobra.Command {
	return group("import", "Bring users, posts and comments in from files", a.importYouTube(), a.importJSONL())
}

// importCommand is a command that reads files and sends their rows, as an operator.
func (a *app) importCommand(use, short, long string, read func(context.Context, *client.Client, []string) (importSummary, error)) *cobra.Command {
	var r remote
	var asJSON bool
	c := &cobra.Command{Use: use, Short: short, Long: long, Args: between(1, -1)}
	r.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := r.connect(c.Context())
		if err != nil {
			return err
		}
		s, err := read(c.Context(), api, args)
		if err == nil {
			return a.report(s, asJSON)
		}
		if s.done()+s.Bad > 0 { // what went in before it ended is worth knowing; the same command goes on from there
			_ = a.report(s, asJSON)
		}
		return err
	}
	return c
}

func (a *app) importJSONL() *cobra.Command {
	return a.importCommand("jsonl FILE…", "Import JSON lines; - is standard input",
		`Each line is a user, a post or a comment:
  {"type":"user","key":"…","name":"…"}
  {"type":"post","key":"…","author":"key of a user","title":"…","body":"…","createdAt":"2014-07-22T15:27:50Z"}
  {"type":"comment","key":"…","post":"key of a post","parent":"key of a comment","author":"key of a user","text":"…","createdAt":"…"}
Keys are yours; the same key is the same item for ever, so that an import may be repeated. A row may name rows before it by key, and
what is on the server by authorId, postId and parentId.`, a.readJSONL)
}

// maxLine bounds a line of JSON: a post of 20,000 characters, each of which may be an escape.
const maxLine = 256 << 10

func (a *app) readJSONL(ctx context.Context, api *client.Client, files []string) (importSummary, error) {
	total, err := countLines(files)
	if err != nil {
		return importSummary{}, err
	}
	im := newImporter(api, a.progress(total, "importing", "rows"))
	for _, name := range files {
		err = a.eachFile(name, func(r io.Reader) error { return im.jsonl(ctx, name, r) })
		if err != nil {
			break
		}
		im.summary.Files++
	}
	s, ferr := im.finish(ctx)
	if err == nil {
		err = ferr
	}
	return s, err
}

// eachFile opens a file, or standard input for "-".
func (a *app) eachFile(name string, do func(io.Reader) error) error {
	if name == "-" {
		return do(a.in)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	defer f.Close()
	return do(f)
}

// countLines counts the lines of all files; -1 if one of them is standard input. It also finds missing files before anything is sent.
func countLines(files []string) (int64, error) {
	total := int64(0)
	buf := make([]byte, 64<<10)
	for _, name := range files {
		if name == "-" {
			return -1, nil
		}
		f, err := os.Open(name)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, cause(err))
		}
		for err == nil {
			var n int
			n, err = f.Read(buf)
			total += int64(bytes.Count(buf[:n], []byte{'\n'}))
		}
		f.Close()
		if !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("%s: %w", name, cause(err))
		}
	}
	return total, nil
}

func (im *importer) jsonl(ctx context.Context, name string, r io.Reader) error {
	in := bufio.NewReaderSize(r, maxLine)
	for line := 1; ; line++ {
		b, err := in.ReadSlice('\n')
		long := false
		for errors.Is(err, bufio.ErrBufferFull) {
			long = true
			_, err = in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w", name, cause(err))
		}
		end := err != nil
		if b = bytes.TrimSpace(b); len(b) > 0 {
			row, err := parseRow(b, long)
			if err != nil {
				im.fault(name, line, err.Error())
				im.bar.add(1)
			} else if err := im.add(ctx, sourced{row, name, line}); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

// parseRow reads a line strictly, as the server would; a line that the server refuses as a whole must not take its batch along.
func parseRow(b []byte, long bool) (client.Row, error) {
	var row client.Row
	switch {
	case long:
		return row, fmt.Errorf("a line has at most %d bytes", maxLine)
	case !utf8.Valid(b):
		return row, errors.New("it is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&row); err != nil {
		return row, fmt.Errorf("it is not a row: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return row, errors.New("it is not a row: more than one JSON value")
	}
	return row, nil
}
