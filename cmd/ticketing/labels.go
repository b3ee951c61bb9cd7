package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ticketing"
	"ticketing/client"
	"ticketing/internal/authoring"
)

// labelFlags say where the labels of a backtest are.
type labelFlags struct {
	files          []string
	id, key, label string // columns; "": found by their names
}

// Names of columns, in lower case, the likeliest first.
var (
	idColumns    = []string{"id", "item", "subject"}
	keyColumns   = []string{"key", youtubeColumn}
	labelColumns = []string{"label", "class", "spam"}
)

// youtubeColumn has the site's ids. The import makes its keys of them.
const youtubeColumn = "comment_id"

// read reads the labels of all files. The same label twice counts once; a contradiction is an error.
func (f *labelFlags) read(a *app) ([]client.Label, error) {
	if len(f.files) == 0 {
		if f.id+f.key+f.label != "" {
			return nil, errors.New("--id, --key and --label name columns of --labels")
		}
		return nil, nil
	}
	if f.id != "" && f.key != "" {
		return nil, errors.New("--id and --key do not go together")
	}
	all := labelSet{seen: map[client.Label]place{}}
	for _, name := range f.files {
		err := a.eachFile(name, func(r io.Reader) error { return f.readFile(&all, name, r) })
		if err != nil {
			return nil, err
		}
	}
	if len(all.labels) == 0 {
		return nil, errors.New("the files hold no label")
	}
	return all.labels, nil
}

// place is where a label stands.
type place struct {
	file  string
	line  int
	label string
}

// labelSet is labels, and where each item's was found.
type labelSet struct {
	labels []client.Label
	seen   map[client.Label]place // by the item alone
}

// add takes a label in.
func (s *labelSet) add(item client.Label, at place) error {
	if was, ok := s.seen[item]; ok {
		if was.label != at.label {
			return fmt.Errorf("the item is %s here and %s in %s:%d", at.label, was.label, was.file, was.line)
		}
		return nil
	}
	if len(s.labels) == ticketing.MaxLabels {
		return fmt.Errorf("there are more than %d labels", ticketing.MaxLabels)
	}
	s.seen[item] = at
	item.Label = at.label
	s.labels = append(s.labels, item)
	return nil
}

// readFile reads a CSV file with a header. Rows without a label are left out.
func (f *labelFlags) readFile(all *labelSet, name string, from io.Reader) error {
	r := csv.NewReader(from)
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return fmt.Errorf("%s: it has no header: %w", name, cause(err))
	}
	item, label, err := f.columns(head)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for {
		record, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, cause(err))
		case strings.TrimSpace(record[label]) == "":
			continue
		}
		line, _ := r.FieldPos(item.at)
		if err := all.addRow(item, record[item.at], record[label], place{file: name, line: line}); err != nil {
			return fmt.Errorf("%s:%d: %w", name, line, err)
		}
	}
}

// addRow takes the label of a row in.
func (s *labelSet) addRow(column itemColumn, value, label string, at place) error {
	bad, err := authoring.Truth(label)
	if err != nil {
		return err
	}
	item, err := column.item(value)
	if err != nil {
		return err
	}
	if at.label = "good"; bad {
		at.label = "bad"
	}
	return s.add(item, at)
}

// itemColumn is the column that names items.
type itemColumn struct {
	at      int
	keys    bool // of imports, and not ids
	youtube bool
}

// item makes of a value what names an item.
func (c itemColumn) item(value string) (l client.Label, err error) {
	switch value = strings.TrimSpace(value); {
	case value == "":
		err = errors.New("the row names no item")
	case c.youtube:
		l.Key = youtubeKey + value
	case c.keys:
		l.Key = value
	default:
		l.ID, err = ticketing.ParseID(value)
	}
	return l, err
}

// columns finds the columns that are named, or else those whose names say what they are.
func (f *labelFlags) columns(head []string) (item itemColumn, label int, err error) {
	names := make([]string, len(head))
	for i, h := range head {
		names[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))
	}
	find := func(flag, named string, usual []string) (int, error) {
		if named != "" {
			usual = []string{strings.ToLower(named)}
		}
		for _, name := range usual {
			if i := slices.Index(names, name); i >= 0 {
				return i, nil
			}
		}
		return -1, fmt.Errorf("there is no column %s; the columns are %s: name one with %s", strings.Join(usual, " or "), strings.Join(head, ", "), flag)
	}
	if label, err = find("--label", f.label, labelColumns); err != nil {
		return item, label, err
	}
	switch {
	case f.id != "":
		item.at, err = find("--id", f.id, nil)
	case f.key != "":
		item.at, err = find("--key", f.key, nil)
		item.keys = true
	default:
		item.at, err = find("--id or --key", "", slices.Concat(idColumns, keyColumns))
	}
	if err == nil && f.id == "" {
		name := names[item.at]
		item.keys = item.keys || slices.Contains(keyColumns, name)
		item.youtube = name == youtubeColumn
	}
	return item, label, err
}
