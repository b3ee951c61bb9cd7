package clustertest

import (
	"fmt"
	"testing"
)

func TestStart(t *testing.T) {
	for i := range rounds(1) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := Start(t, Options{})
			for i, n := range c.Nodes() {
				u := c.SignUp(n, fmt.Sprintf("user%d", i))
				u.must(t, n, 201, "POST", "/api/posts", map[string]string{"title": "A thread", "body": "About nothing much."})
			}
		})
	}
}
