package gateway

import (
	"bufio"
	"context"
	"time"

	"ticketing"
)

// progressView is the data of a backtest's events.
type progressView struct {
	Type  string                  `json:"type"` // progress or end
	State ticketing.BacktestState `json:"state"`
	Done  uint64                  `json:"done"`
	Total uint64                  `json:"total"`
	Why   string                  `json:"why,omitempty"`
}

// backtestEvents streams a backtest's progress as server-sent events, until it has ended.
func (g *Gateway) backtestEvents(c *call) error {
	b, err := g.findBacktest(c)
	if err != nil {
		return err
	}
	if c.IsHead() {
		c.SetContentTypeBytes(typeEvents)
		return nil
	}
	s, err := g.openStream(c)
	if err != nil {
		return err
	}
	return g.startStream(c, s, func(w *bufio.Writer) { g.followBacktest(s, w, b) })
}

// followBacktest writes whenever the backtest has changed, and a heartbeat now and then. How often it looks is the stream's pause.
func (g *Gateway) followBacktest(s *stream, w *bufio.Writer, b ticketing.Backtest) {
	var said progressView
	wrote, checked := time.Now(), time.Now()
	for {
		now := progressView{"progress", b.State, b.Done, b.Total, b.Why}
		if b.State.Ended() {
			now.Type = "end"
		}
		if now != said || time.Since(wrote) >= s.timing.heartbeat {
			name := now.Type
			if now == said {
				name = ""
			}
			if s.deadline(s.timing.write) != nil {
				return
			}
			if writeEvent(w, "", name, now); w.Flush() != nil || b.State.Ended() {
				return
			}
			said, wrote = now, time.Now()
		}
		if s.rest(); s.ctx.Err() != nil {
			s.goodbye(w)
			return
		}
		if time.Since(checked) >= s.timing.recheck || s.use == forAPI && !g.now().Before(s.who.expires) {
			checked = time.Now()
			if err := g.stillIn(s); err != nil {
				s.cancel(err)
				continue
			}
		}
		ctx, cancel := context.WithTimeout(s.ctx, g.config.RequestTimeout)
		next, err := g.s.Backtests.Backtest(ctx, b.ID)
		cancel()
		if err != nil {
			s.goodbye(w) // the client comes back
			return
		}
		b = next
	}
}
