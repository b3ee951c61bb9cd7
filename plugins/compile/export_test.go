package compile

import "time"

// SetTimeout lets children of this compiler have another time.
func (c *Compiler) SetTimeout(d time.Duration) { c.timeout = d }

// Greedy is a child that bounds itself and then takes all the memory that there is.
func Greedy() int {
	if limitProcess() != nil {
		return exitTrouble
	}
	var held [][]byte
	for {
		b := make([]byte, 64<<20)
		for i := 0; i < len(b); i += 4 << 10 {
			b[i] = 1
		}
		held = append(held, b)
		if len(held) == 1<<20 {
			return exitDone
		}
	}
}
