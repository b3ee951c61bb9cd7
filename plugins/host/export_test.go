package host

import (
	"context"
	"time"

	"ticketing"
	"ticketing/plugins/meter"
)

// Loaded returns how many versions are loaded.
func (h *Host) Loaded() int {
	versions, _ := h.Holds()
	return versions
}

func newTestItem(text string) *ticketing.Item {
	return &ticketing.Item{Kind: ticketing.KindPost, ID: ticketing.ID{1}, Rev: 1, Text: text, At: time.Unix(1, 0)}
}

// Place makes code stand for a module: whatever rule uses the module, runs it, until it is freed. The code has the module's imports and exports,
// and what the meter exports.
func (h *Host) Place(ctx context.Context, wasm, code []byte) (free func(), err error) {
	m, err := meter.Inspect(wasm, admission())
	if err != nil {
		return nil, err
	}
	a, err := admit(wasm, m)
	if err != nil {
		return nil, err
	}
	v := &version{admitted: a, key: versionKey{digest: ticketing.DigestOf(wasm)}, refs: 1}
	if v.pages, err = h.memory(a, 0); err != nil {
		return nil, err
	}
	if err := h.compile(ctx, v, code); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.versions[v.key] = v
	return func() {
		h.mu.Lock()
		unused := h.unrefVersion(v)
		h.mu.Unlock()
		closeAll(unused)
	}, nil
}

// Metered returns a module as the host runs it.
func Metered(wasm []byte) ([]byte, *meter.Module, error) { return meter.Rewrite(wasm, admission()) }
