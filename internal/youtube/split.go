package youtube

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxRecord bounds a record. A quote that is never closed makes everything after it one record; the bound ends that.
const maxRecord = 64 << 10

// splitter cuts a file into records. A record ends at the first end of line at which its quotes are even. Lines that belonged to a bad
// record can be given back, all but the first, so that one stray quote costs one row.
type splitter struct {
	r     *bufio.Reader
	queue []string // lines that were read and not used
	line  int      // lines used so far
	last  []string // lines of the latest record
}

func newSplitter(r io.Reader) *splitter { return &splitter{r: bufio.NewReaderSize(r, maxRecord)} }

// next returns a record and the line where it begins, or io.EOF.
func (s *splitter) next() (record string, line int, err error) {
	s.last = s.last[:0]
	size, odd := 0, false
	for {
		l, err := s.read()
		if errors.Is(err, io.EOF) && len(s.last) > 0 {
			break
		}
		if err != nil {
			return "", 0, err
		}
		s.last = append(s.last, l)
		size += len(l)
		odd = odd != (strings.Count(l, `"`)%2 == 1)
		if !odd || size > maxRecord {
			break
		}
	}
	line = s.line + 1
	s.line += len(s.last)
	return strings.Join(s.last, ""), line, nil
}

// retreat gives back all lines of the latest record but the first.
func (s *splitter) retreat() {
	if len(s.last) < 2 {
		return
	}
	back := s.last[1:]
	s.queue = append(append(make([]string, 0, len(back)+len(s.queue)), back...), s.queue...)
	s.line -= len(back)
	s.last = s.last[:1]
}

// read returns a line with its end. A line longer than the bound is cut, which makes it a bad record.
func (s *splitter) read() (string, error) {
	if len(s.queue) > 0 {
		l := s.queue[0]
		s.queue = s.queue[1:]
		return l, nil
	}
	b, err := s.r.ReadSlice('\n')
	l := string(b)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = s.r.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) && l != "" {
		err = nil
	}
	return l, err
}
