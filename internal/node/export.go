package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
	"ticketing/runtime/wire"
)

// exportPurpose names the streams that carry a shard's state as events. The argument is a whichLog. What is sent: frames of
// length(4) and content; a content is one byte, 1 for events (CBOR of [][]byte) and 2 for the end (CBOR of the cursor).
const exportPurpose = "export"

const (
	exportEvents = 1
	exportEnd    = 2

	maxExportFrame = 64 << 20
)

// Export implements shard.Exporter.
func (f feeds) Export(ctx context.Context, producer string, index int, take func([]ticketing.Event) error) (shard.Cursor, error) {
	here, node, err := f.find(producer, index, shard.Cursor{})
	if err != nil {
		return shard.Cursor{}, err
	}
	if here != nil {
		return here.Export(take)
	}
	conn, err := f.n.peers.Open(ctx, node, exportPurpose, wire.Marshal(whichLog{Producer: producer, Index: index}))
	if err != nil {
		return shard.Cursor{}, fmt.Errorf("%w: %w", shard.ErrNoLog, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for {
		kind, body, err := readFrame(conn)
		switch {
		case err != nil:
			return shard.Cursor{}, fmt.Errorf("%w: the state of %s: %w", shard.ErrNoLog, system.Name(producer, index), err)
		case kind == exportEnd:
			var at shard.Cursor
			return at, wire.Unmarshal(body, &at)
		}
		f.n.copied.Add(uint64(len(body)))
		var raw [][]byte
		if err := wire.Unmarshal(body, &raw); err != nil {
			return shard.Cursor{}, err
		}
		evs, err := readEvents(raw)
		if err == nil {
			err = take(evs)
		}
		if err != nil {
			return shard.Cursor{}, err
		}
	}
}

// export answers another node's Export.
func (f feeds) export(conn net.Conn, _ string, arg []byte) {
	defer conn.Close()
	var q whichLog
	if err := wire.Unmarshal(arg, &q); err != nil {
		return
	}
	sh := f.n.sys.Shard(q.Producer, q.Index)
	if sh == nil || f.local(sh, shard.Cursor{}) == nil {
		return
	}
	at, err := sh.Local().Export(func(evs []ticketing.Event) error {
		b := wire.Marshal(appendEvents(evs))
		if err := f.n.pace.Wait(f.n.life.Done(), len(b)); err != nil {
			return err
		}
		return writeFrame(conn, exportEvents, b)
	})
	if err == nil {
		err = writeFrame(conn, exportEnd, wire.Marshal(at))
	}
	if err != nil {
		f.n.log.Debug("a state was not sent whole", "shard", system.Name(q.Producer, q.Index), "error", err)
	}
}

// frameTimeout bounds how long one frame may take.
const frameTimeout = 30 * time.Second

func writeFrame(conn net.Conn, kind byte, body []byte) error {
	_ = conn.SetWriteDeadline(time.Now().Add(frameTimeout))
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 5+len(body)), uint32(1+len(body)))
	_, err := conn.Write(append(append(b, kind), body...))
	return err
}

func readFrame(conn net.Conn) (kind byte, body []byte, err error) {
	_ = conn.SetReadDeadline(time.Now().Add(frameTimeout))
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > maxExportFrame {
		return 0, nil, errors.New("a frame of an impossible size")
	}
	body = make([]byte, size-1)
	_, err = io.ReadFull(conn, body)
	return head[4], body, err
}
