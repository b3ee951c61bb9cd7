//go:build race

package cluster

// fixedSeeds is how many seeds a run of the tests takes: under the race detector a seed costs ten times as much.
const fixedSeeds = 4
