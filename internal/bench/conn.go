package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// replyTimeout bounds one request.
const replyTimeout = 30 * time.Second

// conn is a connection that sends prepared requests and reads just enough of the replies. It is a fraction of a usual client's cost, which
// counts when generator and server share a machine. Not for concurrent use.
type conn struct {
	addr     string
	c        net.Conn
	buf      []byte
	deadline time.Time
}

func newConn(addr string) *conn { return &conn{addr: addr, buf: make([]byte, 16<<10)} }

// do sends a request and returns the reply's status and body. The body is valid until the next call. After an error the next call dials
// again.
func (c *conn) do(request []byte) (status int, body []byte, err error) {
	if c.c == nil {
		if c.c, err = net.DialTimeout("tcp", c.addr, replyTimeout); err != nil {
			return 0, nil, err
		}
		c.deadline = time.Time{}
	}
	// Moving a deadline costs; it is exact enough to do it now and then.
	if now := time.Now(); c.deadline.Sub(now) < replyTimeout {
		c.deadline = now.Add(2 * replyTimeout)
		if err := c.c.SetDeadline(c.deadline); err != nil {
			return 0, nil, c.fail(err)
		}
	}
	if _, err := c.c.Write(request); err != nil {
		return 0, nil, c.fail(err)
	}
	return c.read()
}

func (c *conn) fail(err error) error {
	c.close()
	return err
}

func (c *conn) close() {
	if c.c != nil {
		_ = c.c.Close()
		c.c = nil
	}
}

var (
	endOfHead = []byte("\r\n\r\n")
	lengthKey = []byte("\r\nContent-Length: ")
	closeLine = []byte("\r\nConnection: close")
	errReply  = errors.New("the reply is not HTTP/1.1 with a Content-Length")
)

func (c *conn) read() (status int, body []byte, err error) {
	n, head := 0, -1
	for head < 0 {
		if n == len(c.buf) {
			return 0, nil, c.fail(errReply)
		}
		m, err := c.c.Read(c.buf[n:])
		if err != nil {
			return 0, nil, c.fail(err)
		}
		n += m
		head = bytes.Index(c.buf[:n], endOfHead)
	}
	status, length, err := parseHead(c.buf[:head])
	if err != nil {
		return 0, nil, c.fail(err)
	}
	end := head + len(endOfHead) + length
	if end > len(c.buf) {
		c.buf = append(make([]byte, 0, end), c.buf[:n]...)[:end]
	}
	for n < end {
		m, err := c.c.Read(c.buf[n:end])
		if err != nil {
			return 0, nil, c.fail(err)
		}
		n += m
	}
	if bytes.Contains(c.buf[:head], closeLine) {
		c.close()
	}
	return status, c.buf[head+len(endOfHead) : end], nil
}

func parseHead(head []byte) (status, length int, err error) {
	if len(head) < 12 || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) {
		return 0, 0, errReply
	}
	for _, d := range head[9:12] {
		if d < '0' || d > '9' {
			return 0, 0, errReply
		}
		status = status*10 + int(d-'0')
	}
	i := bytes.Index(head, lengthKey)
	if i < 0 {
		return 0, 0, errReply
	}
	digits := head[i+len(lengthKey):]
	if end := bytes.IndexByte(digits, '\r'); end >= 0 {
		digits = digits[:end]
	}
	length, err = strconv.Atoi(string(digits))
	if err != nil || length < 0 || length > 64<<20 {
		return 0, 0, fmt.Errorf("%w: %q", errReply, digits)
	}
	return status, length, nil
}
