package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"ticketing"
)

// Backups makes backups of the whole cluster.
type Backups interface {
	// BeginBackup fixes what is backed up, of all shards. recipient, if not empty, is a public key of age, for which the cluster's keys are
	// encrypted; a malformed one is Invalid. Unavailable says that not every shard could be reached, or that another backup is being begun.
	// The caller closes the backup.
	BeginBackup(ctx context.Context, recipient string) (Backup, error)
}

// Backup is one that was begun.
type Backup interface {
	// WriteTar writes all of it. After an error the tar lacks its end.
	WriteTar(w io.Writer) error
	// Context ends when the node stops, which waits for the backup to be closed.
	Context() context.Context
	Close()
}

const (
	backupBegins = 30 * time.Second // for all shards to be frozen and looked at
	backupWrite  = time.Minute      // for one write to reach the connection
)

var typeTar = []byte("application/x-tar")

// backup streams a backup as a tar.
func (g *Gateway) backup(c *call) error {
	const op = "gateway.backup"
	recipient, err := c.query("keys")
	if err != nil {
		return err
	}
	if g.s.Backups == nil {
		return ticketing.Errorf(ticketing.Unavailable, "This node makes no backups.")
	}
	if c.IsHead() {
		c.SetContentTypeBytes(typeTar)
		return nil
	}
	b, err := g.s.Backups.BeginBackup(c.context(), recipient)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	// The server's one deadline per reply would cut the backup: there is one per write instead.
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		b.Close()
		return ticketing.Wrap(op, err)
	}
	g.audit(c, slog.LevelWarn, "backup made", c.who.user, slog.Bool("keys", recipient != ""))
	c.SetContentTypeBytes(typeTar)
	c.Response.Header.Set("Content-Disposition", `attachment; filename="ticketing-backup.tar"`)
	c.SetConnectionClose()
	request, conn := requestID(c.RequestCtx), c.Conn()
	c.SetBodyStreamWriter(func(w *bufio.Writer) { g.sendBackup(b, request, conn, w) })
	return nil
}

// sendBackup runs in a goroutine of its own, beside the one that carries what it writes to the connection.
func (g *Gateway) sendBackup(b Backup, request string, conn net.Conn, w *bufio.Writer) {
	defer func() {
		if r := recover(); r != nil {
			g.log.Error("panic in a backup", "request", request, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			g.metrics.panics.Inc()
		}
	}()
	defer b.Close()
	defer context.AfterFunc(b.Context(), func() { _ = conn.Close() })() // the client may not read
	err := b.WriteTar(&patientWriter{w, conn})
	if err == nil {
		err = w.Flush()
	}
	if err != nil { // the status is sent already; what the client has, has no end
		g.log.Warn("a backup broke off", "request", request, "error", err.Error())
	}
}

// patientWriter gives every write to a connection a deadline of its own.
type patientWriter struct {
	w    *bufio.Writer
	conn net.Conn
}

func (p *patientWriter) Write(b []byte) (int, error) {
	if err := p.conn.SetWriteDeadline(time.Now().Add(backupWrite)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}
