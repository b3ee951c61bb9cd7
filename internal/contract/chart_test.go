package contract

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"ticketing/config"
	"ticketing/internal/node"
)

// The decisions of more than a quarter of an hour are drawn as a chart.
func TestChartOfDecisions(t *testing.T) {
	var later atomic.Int64
	url, stop := openNodeWith(t, func(c *config.Config, o *node.Options) {
		c.OperatorEmail, c.OperatorPassword = operatorEmail, operatorPassword
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	defer stop()
	s := &server{t: t, url: url}
	for range 4 {
		c := &client{url: url, http: &http.Client{Timeout: 15 * time.Second}}
		c.token = c.must(t, 200, "POST", "/api/token", map[string]string{"email": operatorEmail, "password": operatorPassword}).str("accessToken")
		for _, text := range []string{"A thread about gardens.", "Subscribe to my channel http://videos.example"} {
			id := c.must(t, 201, "POST", "/api/posts", map[string]string{"title": "A thread", "body": text}).str("id")
			wait(t, "it is decided", func() bool { return c.must(t, 200, "GET", "/api/posts/"+id, nil).str("status") != "pending" })
		}
		later.Add(int64(15 * time.Minute))
	}
	b := s.open(t)
	b.signIn(operatorEmail, operatorPassword)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			b.dress(width, theme)
			b.visit("/plugins")
			wait(t, "the chart is drawn", func() bool { return ask[bool](b, `document.querySelector(".chart canvas") !== null`) })
			b.inspect(fmt.Sprintf("/plugins with a chart (%s, %d px)", theme, width))
			b.picture(fmt.Sprintf("chart-%s-%d", theme, width))
		}
	}
	b.calm()
	b.close()
}
