package host

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/abi"
)

// searchText returns the text that an import looks at, given its first two arguments.
func (c *call) searchText(stack []uint64, sets int) (*abi.Field, abi.ErrorCode) {
	if c.view != nil && uint64(uint32(stack[0])) >= uint64(sets) {
		return nil, abi.BadArgument
	}
	return c.seeText(uint32(stack[1]))
}

func (c *call) wordSets() int {
	if w := c.loaded.sets.words; w != nil {
		return w.sets
	}
	return 0
}

func importMatch(c *call, _ api.Memory, stack []uint64) {
	set := uint32(stack[0])
	f, e := c.searchText(stack, c.wordSets())
	if e != 0 {
		stack[0] = code64(e)
		return
	}
	h := c.firstHits(f)[c.base+int32(set)]
	if h != noHit {
		h = h>>32<<32 | hit(c.view.origin(f, int32(h)))
	}
	stack[0] = uint64(h)
}

// firstHits returns the first hit of every set of the rule's scanner in a field. A call pays for each field once, whether or not
// another rule has had it scanned.
func (c *call) firstHits(f *abi.Field) []hit {
	i := slices.Index(searched[:], f.ID)
	if !c.scanned[i] {
		c.charge(c.loaded.sets.scanCost(len(f.Text)))
		c.scanned[i] = true
	}
	return c.view.firstHits(c.scanner, i, f)
}

func importMatchAll(c *call, memory api.Memory, stack []uint64) {
	set, ptr, limit := int32(stack[0]), stack[2], int32(stack[3])
	f, e := c.searchText(stack, c.wordSets())
	if e == 0 && limit < 0 {
		e = abi.BadArgument
	}
	if e != 0 {
		stack[0] = code(e)
		return
	}
	c.charge(c.loaded.sets.scanCost(len(f.Text)))
	room := c.bytes(memory, ptr, uint64(limit))
	hits := 0
	c.view.scanAll(c.loaded.sets.words, f, set, func(number, start int32) bool {
		if len(room) >= 8 {
			binary.LittleEndian.PutUint32(room, uint32(number))
			binary.LittleEndian.PutUint32(room[4:], uint32(c.view.origin(f, start)))
			room = room[8:]
		}
		hits++
		return hits < abi.MaxHits
	})
	stack[0] = api.EncodeI32(int32(hits))
}

func importRegex(c *call, _ api.Memory, stack []uint64) {
	set := uint32(stack[0])
	f, e := c.searchText(stack, len(c.loaded.sets.exprs))
	if e != 0 {
		stack[0] = code64(e)
		return
	}
	x := &c.loaded.sets.exprs[set]
	c.charge(x.cost(len(f.Text)))
	stack[0] = uint64(x.find(f.Text, c.onTime))
}

func importNorm(c *call, memory api.Memory, stack []uint64) {
	form, ptr, limit := uint32(stack[0]), stack[2], int32(stack[3])
	f, e := c.seeText(uint32(stack[1]))
	if e == 0 && (limit < 0 || form < abi.NormLower || form > abi.NormSkeleton) {
		e = abi.BadArgument
	}
	if e != 0 {
		stack[0] = code(e)
		return
	}
	c.charge(costNorm * len(f.Text))
	var value []byte
	switch form {
	case abi.NormLower:
		value = []byte(strings.ToLower(f.Text))
	case abi.NormFolded:
		value = c.view.foldedText(f)
	case abi.NormSkeleton:
		value = []byte(skeleton(f.Text))
	}
	stack[0] = c.give(memory, ptr, limit, value)
}

func importHash(c *call, _ api.Memory, stack []uint64) {
	kind := uint32(stack[0])
	f, e := c.seeText(uint32(stack[1]))
	if e == 0 && kind != abi.HashText && kind != abi.HashSimilar {
		e = abi.BadArgument
	}
	if e != 0 {
		stack[0] = code64(e)
		return
	}
	if kind == abi.HashText {
		c.charge(costNorm * len(f.Text))
		stack[0] = hashText(c.view.foldedText(f))
		return
	}
	c.charge(costSimilar * len(f.Text))
	stack[0] = similar(c.view.foldedText(f))
}

func importListHas(c *call, _ api.Memory, stack []uint64) {
	list := uint32(stack[0])
	f, e := c.searchText(stack, len(c.loaded.sets.lists))
	if e != 0 {
		stack[0] = code(e)
		return
	}
	c.charge(costScan * len(f.Text))
	_, ok := c.loaded.sets.lists[list][string(c.view.foldedText(f))]
	stack[0] = 0
	if ok {
		stack[0] = 1
	}
}
