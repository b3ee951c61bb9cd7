package contract

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"ticketing/plugins/host/hosttest"
)

// An operator uploads a module in the browser, activates it, sees what is wrong with a config beside it, rolls back and
// retires; the same works without scripts.
func TestPluginsInBrowser(t *testing.T) {
	s := serve(t, t.TempDir())
	dir := t.TempDir()
	module := func(name string, code []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, code, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := module("good.wasm", hosttest.ApproveAll), module("bad.wasm", []byte("this is no module"))
	for _, scripts := range []bool{true, false} {
		b := s.open(t)
		name := "fromform"
		if scripts {
			name = "fromscript"
		} else {
			b.without()
		}
		b.signIn(operatorEmail, operatorPassword)
		upload := func(file string) {
			t.Helper()
			b.visit("/plugins")
			b.fill("name", name)
			b.choose("#f-file", file)
			b.run(chromedp.Click(chromedp.CSS("#upload button"), chromedp.NodeVisible))
		}
		upload(bad)
		if scripts {
			b.shows("#notice .bad", "odule")
		} else {
			b.shows("#e-file", "odule")
		}
		upload(good)
		b.arrives("/plugins/" + name)
		b.shows("#notice", "It judges nothing until you activate it.")
		b.fill("config", "{nonsense")
		b.goes("form[action$='/rule'] button", "/plugins/"+name+"/rule")
		b.shows("#e-config", "This is not valid JSON.")
		if !b.is(`document.querySelector("#f-config").value === "{nonsense"`) {
			t.Error("the config was not kept")
		}
		b.fill("config", "{}")
		b.goes("form[action$='/rule'] button", "/plugins/"+name)
		b.shows("h1", "active: v1")
		b.goes("a[href$='/retire']", "/plugins/"+name+"/change/retire")
		b.shows("main", "judges no more")
		b.goes("main form button", "/plugins/"+name)
		b.shows("h1", "retired")
		b.goes("a[href$='/rollback']", "/plugins/"+name+"/change/rollback")
		b.goes("main form button", "/plugins/"+name)
		b.shows("h1", "active: v1")
		b.calm()
	}
}

// choose puts a file into a field.
func (b *tab) choose(selector, path string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{path})); err != nil {
		b.fatal(err)
	}
}
