// Package labels reads what is known of items from elsewhere: files of CSV with a header, of which each row names an item and says whether it
// is good or bad.
//
// An item is named by its id, or by the key under which it was imported. Which columns hold that is found by their names, or said by [Columns].
// Rows without a label are left out. The same label twice counts once, and two labels for one item are a fault.
package labels

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"ticketing"
	"ticketing/internal/youtube"
)

// Label says of an item whether it is bad. It has an ID or a Key.
type Label struct {
	ID  ticketing.ID
	Key string // of the item's import
	Bad bool
}

// Columns are the names of columns, in any case. Those that are empty are found by their usual names.
type Columns struct {
	ID, Key string // at most one of them
	Label   string
}

// Usual names of columns, in lower case, the likeliest first.
var (
	idColumns    = []string{"id", "item", "subject"}
	keyColumns   = []string{"key", youtubeColumn}
	labelColumns = []string{"label", "class", "spam"}
)

// youtubeColumn has the site's ids. The import makes its keys of them.
const youtubeColumn = "comment_id"

// ErrNoColumn is that a file has none of the columns that it needs.
var ErrNoColumn = errors.New("there is no column")

// Set is the labels of one or more files, at most [ticketing.MaxLabels]. The zero Set is empty.
type Set struct {
	Labels []Label // each of another item

	seen map[Label]row // by the item alone
}

// row is where the label of an item was found.
type row struct {
	file string
	line int // 0: none of them alone
	bad  bool
}

func (r row) String() string {
	switch {
	case r.line == 0:
		return r.file
	case r.file == "":
		return fmt.Sprintf("line %d", r.line)
	}
	return fmt.Sprintf("%s:%d", r.file, r.line)
}

// Read takes the labels of a file in. An error begins with the file's name, if it has one, and the line.
func (s *Set) Read(file string, from io.Reader, named Columns) error {
	line, err := s.read(file, from, named)
	if at := (row{file: file, line: line}).String(); err != nil && at != "" {
		return fmt.Errorf("%s: %w", at, err)
	}
	return err
}

// read takes the labels of a file in, and returns with what is wrong the line of the row, if it is about one.
func (s *Set) read(file string, from io.Reader, named Columns) (line int, err error) {
	r := csv.NewReader(from)
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return 0, fmt.Errorf("it has no header: %w", err)
	}
	items, label, err := named.in(head)
	if err != nil {
		return 0, err
	}
	for {
		record, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return 0, nil
		case err != nil:
			return 0, err // it says where
		case strings.TrimSpace(record[label]) == "":
			continue
		}
		line, _ := r.FieldPos(items.at)
		if err := s.add(items, record[items.at], record[label], row{file: file, line: line}); err != nil {
			return line, err
		}
	}
}

// add takes the label of a row in.
func (s *Set) add(items column, value, label string, at row) (err error) {
	if at.bad, err = Truth(label); err != nil {
		return err
	}
	l, err := items.item(value)
	if err != nil {
		return err
	}
	if was, ok := s.seen[l]; ok {
		if was.bad != at.bad {
			return fmt.Errorf("the item is %s here and %s in %v", word(at.bad), word(was.bad), was)
		}
		return nil
	}
	if len(s.Labels) == ticketing.MaxLabels {
		return fmt.Errorf("there are more than %d labels", ticketing.MaxLabels)
	}
	if s.seen == nil {
		s.seen = map[Label]row{}
	}
	s.seen[l] = at
	l.Bad = at.bad
	s.Labels = append(s.Labels, l)
	return nil
}

// Word is how the API calls the label: good or bad.
func (l *Label) Word() string { return word(l.Bad) }

func word(bad bool) string {
	if bad {
		return "bad"
	}
	return "good"
}

// column is the column that names items.
type column struct {
	at      int
	keys    bool // of imports, and not ids
	youtube bool
}

// item makes of a value what names an item.
func (c column) item(value string) (l Label, err error) {
	switch value = strings.TrimSpace(value); {
	case value == "":
		return l, errors.New("the row names no item")
	case !c.keys:
		if l.ID, err = ticketing.ParseID(value); err != nil || l.ID.IsZero() {
			return l, fmt.Errorf("%.40q is no id", value)
		}
		return l, nil
	case c.youtube:
		value = youtube.KeyPrefix + value
	}
	if len(value) > ticketing.MaxImportKey || !utf8.ValidString(value) {
		return l, fmt.Errorf("%.40q is no key: those are UTF-8 of up to %d bytes", value, ticketing.MaxImportKey)
	}
	l.Key = value
	return l, nil
}

// in finds the columns in a header.
func (n Columns) in(head []string) (items column, label int, err error) {
	names := make([]string, len(head))
	for i, h := range head {
		names[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))
	}
	find := func(named string, usual ...string) (int, error) {
		if named != "" {
			usual = []string{strings.ToLower(named)}
		}
		for _, name := range usual {
			if i := slices.Index(names, name); i >= 0 {
				return i, nil
			}
		}
		return -1, fmt.Errorf("%w %s; the columns are %.200s", ErrNoColumn, strings.Join(usual, " or "), strings.Join(head, ", "))
	}
	if label, err = find(n.Label, labelColumns...); err != nil {
		return items, label, err
	}
	if items.at, err = find(cmp.Or(n.ID, n.Key), slices.Concat(idColumns, keyColumns)...); err != nil || n.ID != "" {
		return items, label, err
	}
	name := names[items.at]
	items.keys = n.Key != "" || slices.Contains(keyColumns, name)
	items.youtube = name == youtubeColumn
	return items, label, nil
}

// Truth reads a label: whether it says that an item is bad. No label says that it is not.
func Truth(label string) (bad bool, err error) {
	switch strings.ToLower(strings.TrimSpace(label)) {
	case "1", "true", "yes", "spam", "bad":
		return true, nil
	case "0", "false", "no", "ham", "good", "":
		return false, nil
	}
	return false, fmt.Errorf("the label %.40q is neither 1, true, yes, spam nor 0, false, no, ham", label)
}
