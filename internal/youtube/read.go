package youtube

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"ticketing"
)

// NoDate stands in where a file has no date at all: the year in which the collection was published.
var NoDate = time.Date(2015, time.January, 1, 0, 0, 0, 0, time.UTC)

// KeyPrefix is what the keys begin with under which a collection is imported; the key of a comment ends with its ID.
const KeyPrefix = "youtube:"

// Row is a comment.
type Row struct {
	Line   int    // where it begins, from 1
	ID     string // the site's own id
	Author string // as found
	Name   string // of the author, fit for an account
	At     time.Time
	Dated  bool // the file says when; otherwise At was derived
	Text   string
	Spam   bool
}

// Fault is what is wrong with a row.
type Fault struct {
	Line int
	Err  error
}

// columns are the header's names.
const columns = "COMMENT_ID,AUTHOR,DATE,CONTENT,CLASS"

// Read returns the rows of a file and the faults of those that are left out, both in the order of the file. The error is for the file as a
// whole: it cannot be read, or has another header.
func Read(r io.Reader) (rows []Row, faults []Fault, err error) {
	s := newSplitter(r)
	head, _, err := s.next()
	if errors.Is(err, io.EOF) {
		return nil, nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, nil, err
	}
	if strings.TrimSpace(strings.TrimPrefix(head, "\ufeff")) != columns {
		return nil, nil, errors.New("the first line does not read " + columns)
	}
	for {
		record, line, err := s.next()
		if errors.Is(err, io.EOF) {
			return date(rows), faults, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if strings.TrimSpace(record) == "" {
			continue
		}
		row, err := parse(record)
		if err != nil {
			s.retreat()
			faults = append(faults, Fault{line, err})
			continue
		}
		row.Line = line
		rows = append(rows, row)
	}
}

// parse reads one record.
func parse(record string) (Row, error) {
	if !utf8.ValidString(record) {
		return Row{}, errors.New("it is not valid UTF-8")
	}
	c := csv.NewReader(strings.NewReader(record))
	c.FieldsPerRecord = -1
	f, err := c.Read()
	if err != nil {
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			err = syntax.Err
		}
		return Row{}, fmt.Errorf("it is not CSV: %w", err)
	}
	if _, err := c.Read(); !errors.Is(err, io.EOF) {
		return Row{}, errors.New("it is not CSV: a quote is not closed")
	}
	if len(f) != 5 {
		return Row{}, fmt.Errorf("it has %d columns instead of 5", len(f))
	}
	row := Row{ID: strings.TrimSpace(f[0]), Author: f[1], Name: Name(f[1]), Text: Text(f[3]), Spam: f[4] == "1"}
	if row.ID == "" || len(row.ID) > 150 {
		return Row{}, errors.New("COMMENT_ID has not 1 to 150 bytes")
	}
	if f[4] != "0" && f[4] != "1" {
		return Row{}, fmt.Errorf("CLASS is %q, not 0 or 1", f[4])
	}
	if f[2] != "" {
		if row.At, err = time.Parse("2006-01-02T15:04:05", f[2]); err != nil || row.At.Year() < 1970 { // fractions pass
			return Row{}, fmt.Errorf("DATE is %q, not such as 2014-07-22T15:27:50", f[2])
		}
		row.At, row.Dated = row.At.Truncate(time.Millisecond), true
	}
	return row, check(row.Text)
}

// check reports what the server would not take.
func check(text string) error {
	var e *ticketing.Error
	if err := ticketing.CheckComment(text); errors.As(err, &e) && len(e.Fields) > 0 {
		return errors.New(e.Fields[0].Message)
	}
	return nil
}

// date gives times to the rows without.
func date(rows []Row) []Row {
	last := NoDate
	for _, r := range rows {
		if r.Dated {
			last = r.At
			break
		}
	}
	for i := range rows {
		if rows[i].Dated {
			last = rows[i].At
		}
		rows[i].At = last
	}
	return rows
}
