package authoring

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"ticketing"
	"ticketing/internal/labels"
	"ticketing/plugins/memstate"
)

// Score compares a rule with labels. Stopped means held or rejected.
type Score struct {
	Rows      int     `json:"rows"`
	Bad       int     `json:"labelled"`  // rows whose label says that they should be stopped
	Caught    int     `json:"caught"`    // of those
	Missed    int     `json:"missed"`    // of those
	Wrong     int     `json:"wrong"`     // rows that are fine, and were stopped
	Passed    int     `json:"passed"`    // rows that are fine, and were not
	Failed    int     `json:"failed"`    // of all: the rule failed; counted as stopped
	Precision float64 `json:"precision"` // of what was stopped, how much should be; 0 if nothing was
	Recall    float64 `json:"recall"`    // of what should be stopped, how much was; 0 if there is nothing
	F1        float64 `json:"f1"`

	Fuel    uint64        `json:"fuel"`        // per row, on average
	MaxFuel uint64        `json:"maxFuel"`     // of one row
	Took    time.Duration `json:"nanoseconds"` // per row, on average

	WrongSamples  []string `json:"wrongSamples,omitzero"` // the first ones
	MissedSamples []string `json:"missedSamples,omitzero"`
	Failures      []string `json:"failures,omitzero"` // causes
}

// maxSamples bounds the samples of each kind.
const maxSamples = 5

// row is one labelled text.
type row struct {
	text, author string
	bad          bool
}

// score tries the rule on labelled texts, in the order of the files, a minute apart. Each author has a memory of its own.
func (b *bench) score(ctx context.Context, dir string, data *Data) (*Score, error) {
	config, err := data.config(dir)
	if err != nil {
		return nil, err
	}
	rows, err := data.read()
	if err != nil {
		return nil, err
	}
	j, err := b.judge(ctx, config)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	s, states := &Score{Rows: len(rows)}, map[string]*memstate.State{}
	var fuel uint64
	var took time.Duration
	for i, r := range rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		state := states[r.author]
		if state == nil {
			state = memstate.New()
			states[r.author] = state
		}
		item := labelled(i, r)
		began := time.Now()
		o := j.Judge(item, state).Outcomes[0]
		took += time.Since(began)
		state.Settle()
		fuel += o.Fuel
		s.count(r, &o)
		if data.Seen != nil {
			data.Seen(i+1, len(rows))
		}
	}
	s.complete(fuel, took)
	return s, nil
}

// labelled is the item of a row.
func labelled(i int, r row) *ticketing.Item {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Minute)
	author := ticketing.NewID(1, time.UnixMilli(0), ticketing.Hash64([]byte(r.author)))
	return &ticketing.Item{
		Kind: ticketing.KindComment, ID: ticketing.NewID(1, at, uint64(i)), Post: ticketing.NewID(1, at, math.MaxUint64), Rev: 1,
		Text: r.text, Author: ticketing.Author{ID: author, Name: r.author}, At: at,
	}
}

func (s *Score) count(r row, o *ticketing.RuleOutcome) {
	s.MaxFuel = max(s.MaxFuel, o.Fuel)
	if o.Failure != "" {
		s.Failed++
		if len(s.Failures) < maxSamples && !slices.Contains(s.Failures, o.Failure) {
			s.Failures = append(s.Failures, o.Failure)
		}
	}
	switch stopped := o.Action >= ticketing.ActionHold; {
	case r.bad && stopped:
		s.Caught++
	case r.bad:
		s.Missed++
		s.MissedSamples = sample(s.MissedSamples, r.text)
	case stopped:
		s.Wrong++
		s.WrongSamples = sample(s.WrongSamples, r.text)
	default:
		s.Passed++
	}
}

// sample adds the beginning of a text.
func sample(samples []string, text string) []string {
	if len(samples) >= maxSamples {
		return samples
	}
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return append(samples, text)
}

func (s *Score) complete(fuel uint64, took time.Duration) {
	s.Bad = s.Caught + s.Missed
	if stopped := s.Caught + s.Wrong; stopped > 0 {
		s.Precision = float64(s.Caught) / float64(stopped)
	}
	if s.Bad > 0 {
		s.Recall = float64(s.Caught) / float64(s.Bad)
	}
	if sum := s.Precision + s.Recall; sum > 0 {
		s.F1 = 2 * s.Precision * s.Recall / sum
	}
	if s.Rows > 0 {
		s.Fuel, s.Took = fuel/uint64(s.Rows), took/time.Duration(s.Rows)
	}
}

// read reads the rows of all files.
func (d *Data) read() ([]row, error) {
	var rows []row
	for _, path := range d.Files {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		more, err := d.readFile(f, len(rows))
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		rows = append(rows, more...)
	}
	if len(rows) == 0 {
		return nil, errors.New("the data has no rows")
	}
	return rows, nil
}

// readFile reads one file, whose rows are numbered from first.
func (d *Data) readFile(from io.Reader, first int) ([]row, error) {
	r := csv.NewReader(from)
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("no header: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	column := func(name string) (int, error) {
		if i := slices.Index(head, name); i >= 0 {
			return i, nil
		}
		return -1, fmt.Errorf("there is no column %q; the columns are %s", name, strings.Join(head, ", "))
	}
	text, err := column(d.Text)
	if err != nil {
		return nil, err
	}
	label, err := column(d.Label)
	if err != nil {
		return nil, err
	}
	author := -1
	if d.Author != "" {
		if author, err = column(d.Author); err != nil {
			return nil, err
		}
	}
	var rows []row
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		one := row{text: html.UnescapeString(record[text]), author: fmt.Sprint("row ", first+len(rows))}
		if author >= 0 {
			one.author = record[author]
		}
		if one.bad, err = labels.Truth(record[label]); err != nil {
			line, _ := r.FieldPos(label)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, one)
	}
}
