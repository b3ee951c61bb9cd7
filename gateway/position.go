package gateway

import (
	"bytes"
	"strconv"
	"time"

	"ticketing"
)

const (
	positionWait   = 2 * time.Second // how long a read waits for the position that it names
	positionCookie = "position"
	positionAge    = 10 // seconds that a page remembers what was written
)

// appendPosition writes the header's form: service/shard@epoch:seq, such as "comments/3@7:1042".
func appendPosition(b []byte, p ticketing.Position) []byte {
	b = append(b, p.Service...)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(p.Shard), 10)
	b = append(b, '@')
	b = strconv.AppendUint(b, p.Epoch, 10)
	b = append(b, ':')
	return strconv.AppendUint(b, p.Seq, 10)
}

// parsePosition reads what appendPosition writes, in its one spelling.
func parsePosition(h []byte) (ticketing.Position, error) {
	fault := ticketing.Errorf(ticketing.BadRequest, "A Position reads service/shard@epoch:seq.")
	service, rest, ok1 := bytes.Cut(h, []byte{'/'})
	shard, rest, ok2 := bytes.Cut(rest, []byte{'@'})
	epoch, seq, ok3 := bytes.Cut(rest, []byte{':'})
	if !ok1 || !ok2 || !ok3 || len(service) == 0 || len(service) > 16 || len(h) > 80 {
		return ticketing.Position{}, fault
	}
	for _, c := range service {
		if c < 'a' || c > 'z' {
			return ticketing.Position{}, fault
		}
	}
	p := ticketing.Position{Service: string(service)}
	n, err1 := strconv.ParseUint(string(shard), 10, 16)
	p.Shard = int(n)
	var err2, err3 error
	p.Epoch, err2 = strconv.ParseUint(string(epoch), 10, 64)
	p.Seq, err3 = strconv.ParseUint(string(seq), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || p.Shard >= ticketing.Slots || string(appendPosition(nil, p)) != string(h) {
		return ticketing.Position{}, fault
	}
	return p, nil
}
