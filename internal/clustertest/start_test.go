package clustertest

import (
	"fmt"
	"testing"
)

func TestStart(t *testing.T) {
	for i := range rounds(1) {
		t.Run(fmt.Sprint(i), func(t *testing.T) { Start(t, Options{}) })
	}
}
