//go:build !race

package cluster

// fixedSeeds is how many seeds a run of the tests takes.
const fixedSeeds = 40
