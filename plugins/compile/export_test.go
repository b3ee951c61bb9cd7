package compile

import "time"

// ExitTrouble is how a child ends when what fails is not the module's fault.
const ExitTrouble = exitTrouble

// SetPatience lets children of this compiler have another time by the clock.
func (c *Compiler) SetPatience(d time.Duration) { c.patience = d }

// Occupy takes the places of all children, and returns what frees one.
func (c *Compiler) Occupy() (free func()) {
	for range cap(c.children) {
		c.children <- struct{}{}
	}
	return func() { <-c.children }
}

// Tired is a child that may have a second of the processor, and takes it.
func Tired() int {
	if limitProcess(1) != nil {
		return exitTrouble
	}
	go endWhenTired()
	for n := uint64(1); n != 0; n++ {
	}
	return exitDone
}

// Greedy is a child that bounds itself and then takes all the memory that there is.
func Greedy() int {
	if limitProcess(cpuSeconds) != nil {
		return exitTrouble
	}
	var held [][]byte
	for {
		b := make([]byte, 64<<20)
		for i := 0; i < len(b); i += 1 << 20 {
			b[i] = 1
		}
		held = append(held, b)
		if len(held) == 1<<20 {
			return exitDone
		}
	}
}
