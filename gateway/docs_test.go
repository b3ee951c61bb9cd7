package gateway

import (
	"regexp"
	"strings"
	"testing"
)

var (
	docsLink = regexp.MustCompile(`href="(/docs[^"#]*)?(?:#([^"]*))?"`)
	docsID   = regexp.MustCompile(`\bid="([^"]+)"`)
)

// The reference shows every operation and every schema, its links lead somewhere, and it needs nothing that the policy for
// scripts and styles forbids.
func TestDocs(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	m := loadModel(t)
	pages := map[string]string{"/docs": "", "/docs/schemas": ""}
	for _, tag := range m.Tags {
		pages["/docs/"+strings.ToLower(tag.Name)] = ""
	}
	targets := map[string]bool{}
	for path := range pages {
		a := c.do("GET", path, "").want(200)
		pages[path] = string(a.Body)
		if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") {
			t.Errorf("%s: %s", path, csp)
		}
		for _, forbidden := range []string{"<style", " style=", " onclick=", "<script>", "javascript:"} {
			if strings.Contains(pages[path], forbidden) {
				t.Errorf("%s holds %s", path, forbidden)
			}
		}
		for _, id := range docsID.FindAllStringSubmatch(pages[path], -1) {
			targets[path+"#"+id[1]] = true
		}
	}
	for path, page := range pages {
		for _, link := range docsLink.FindAllStringSubmatch(page, -1) {
			to := link[1]
			if to == "" {
				to = path
			}
			if _, ok := pages[to]; !ok || link[2] != "" && !targets[to+"#"+link[2]] {
				if link[1] != "" || link[2] != "" {
					t.Errorf("%s links to %s#%s", path, to, link[2])
				}
			}
		}
	}
	for _, op := range m.Operations {
		if !targets["/docs/"+strings.ToLower(op.Tags[0])+"#"+op.ID] || !strings.Contains(pages["/docs"], "#"+op.ID+`"`) {
			t.Errorf("%s is not shown", op.ID)
		}
	}
	for _, e := range m.Schemas {
		if !targets["/docs/schemas#"+e.Key] {
			t.Errorf("%s is not shown", e.Key)
		}
	}
	c.do("GET", "/docs/nothing", "", "Accept", "text/html").want(404)
}
